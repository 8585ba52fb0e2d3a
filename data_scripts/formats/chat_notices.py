"""Recognizes what programs write into chats and transcripts: media in brackets, reactions, notes, system lines."""

import re

# The words for media, in the languages of LINE, WeChat, QQ and Telegram.
KINDS = (
    "photo|video|video message|sticker|voice message|audio|gif|file|album|albums|note|notes|contact|location|poll|gift"
    "|link|keep|写真|動画|スタンプ|ボイスメッセージ|音声|ファイル|アルバム|ノート|連絡先|位置情報|投票|プレゼント|リンク"
    "|照片|圖片|图片|影片|视频|貼圖|贴图|語音訊息|语音消息|语音|檔案|文件|相簿|记事本|記事本|聯絡資訊|位置訊息|位置資訊|禮物"
    "|动画表情|表情|红包|链接|名片|位置|转账|聊天记录|视频通话|语音通话"
    "|사진|동영상|스티커|음성 메시지|파일|앨범|노트|연락처|위치 정보|위치정보"
    "|รูป|รูปภาพ|วิดีโอ|สติกเกอร์|ข้อความเสียง|ไฟล์|อัลบั้ม|โน้ต|ตำแหน่งที่ตั้ง"
    "|фото|фотография|видео|стикер|голосовое сообщение|аудио|файл|документ|видеосообщение"
    "|foto|bild|imagen|vídeo|vidéo|audio|stiker|pesan suara|berkas|album|catatan|kontak|lokasi"
)
OMITTED = re.compile(rf"\[(?:{KINDS})\]", re.IGNORECASE)
# Zoom and iMessage repeat the message that somebody reacted to.
REACTION = re.compile(
    r'(?:Reacted to|Removed (?:an? )?.{1,20} (?:reaction )?from) ["“].*["”…](?: with .{1,20})?'
    r"|(?:Liked|Loved|Disliked|Laughed at|Emphasized|Questioned) “.*”",
    re.DOTALL,
)
# What a program writes about its transcript, above, between and below the turns.
NOTE = re.compile(
    r"\W*(?:transcribed|transcript(?:ion)?|generated|recorded|created|powered|exported)\b.{0,40}"
    r"(?:\b(?:by|with|from|using)\b|https?:).*|.{1,60}\s(?:started|stopped) (?:the )?(?:transcription|recording)\W?"
    r"|\W*(?:meeting|recording|call) ended after\b.*|this editable transcript was\b.*"
    r"|session (?:start|close|time|ident): .*"
    r"|exported \d+ message\(?s?\)?\W?"
    r"|\W*(?:end|start) of (?:the )?(?:transcript(?:ion)?|recording|meeting|interview|call)\W*|[-=_*#]{6,}",
    re.IGNORECASE,
)
# What Zoom writes above an answer.
REPLY = re.compile(r'Replying to ".*"')
# What a chat program writes when people come, go or change something.
SYSTEM = re.compile(r"(?:-->|<--|-!-|--|\*\*\*|=!=)\s")
LINE_OF_IRC = re.compile(
    r"\[?\d{1,2}:\d{2}(?::\d{2})?\]?\s+(?:-->(?!\s*\d)|<--|-!-|\*{1,3})\s|--- (?:Log opened|Log closed|Day changed)\b"
)
# DiscordChatExporter writes these lines below a message, and what they announce below them.
BLOCK = re.compile(r"\{(Attachments?|Embeds?|Reactions|Stickers?)\}")


def notice_of(text: str) -> str | None:
    """What a message is, such as `omitted media`, if nobody wrote it; None for other messages."""
    if OMITTED.fullmatch(text):
        return "omitted media"
    return "reactions" if REACTION.fullmatch(text) else None


def is_short(line: str) -> bool:
    """Whether a line is short enough to be a note or a date."""
    return len(line) < 160


def is_note(line: str) -> bool:
    """Whether a line is a note of the program that made the transcript, such as "Transcribed by ..."."""
    return is_short(line) and bool(NOTE.fullmatch(line))
