"""Patterns of the notices that WhatsApp writes in place of messages, in its most common languages."""

import re


def any_of(*parts: str) -> str:
    """A pattern that matches any of the patterns."""
    return "|".join(parts)


MEDIA = any_of(
    "media", "medien", "médias?", "multimedia", "mídia", "medya", "медиа", "медіа", "файл", "вкладен", "медиафайл",
    "multimedi", "média", "mediá", "archivo", "arquivo", "媒体", "媒體", "メディア", "미디어", "وسائط", "मीडिया", "สื่อ",
    "phương tiện", "מדיה", "mediefil", "arquivos", "bestand", "berkas", "رسانه", "πολυμέσ",
)  # fmt: skip
KIND = any_of(
    "image", "photo", "video", "audio", "voice message", "sticker", "gif", "document", "contact card", "video note",
    "bild", "foto", "dokument", "kontaktkarte", "sprachnachricht", "vidéo", "imagen", "vídeo", "documento", "imagem",
    "áudio", "figurinha", "immagine", "afbeelding", "contactkaart", "görüntü", "ses", "çıkartma", "belge", "фото",
    "изображение", "видео", "аудио", "аудиофайл", "стикер", "документ", "obraz", "wideo", "dźwięk", "naklejka",
    "tarjeta de contacto", "cartão de contato", "contato", "carte de contact", "scheda contatto", "ljud", "lyd",
    "billede", "bilde", "kuva", "ääni", "zdjęcie", "nota de voz", "nota vocale", "gambar", "stiker",
    "dokumen", "obrázek",
)  # fmt: skip
LEFT_OUT = any_of(
    "omitted", "weggelassen", "ausgelassen", "ausgeschlossen", "absente?", "omise?", "omitid[oa]", "ocultad[oa]",
    "ocult[oa]", "omess[oa]", "non inclus[oa]", "weggelaten", "dahil edilmedi", "отсутствует", "пропущено", "пропущен",
    "pominięt[oey]", "utelämnad", "utelämnat", "udeladt", "utelatt", "jätetty pois",
    "tidak disertakan", "vynechán[oa]?",
)  # fmt: skip
# Android writes it in angle brackets. iOS writes it without brackets, after a mark that may be lost.
OMITTED = re.compile(
    rf"<[^<>]{{0,60}}(?:{MEDIA}|{LEFT_OUT})[^<>]{{0,60}}>|null|(?:\S+(?: • [^•]+)* )?(?:{KIND}) (?:{LEFT_OUT})"
    r"|.{0,60}(?:已省略|已略去|省略されました|생략됨|생략된.{0,12}|تم استبعاد.{0,20}|छोड़ा गया)",
    re.IGNORECASE,
)
# Calls, polls and places, which Android writes as messages of the person. On iOS, they have a mark.
ACTION = re.compile(
    "(?:"
    + any_of(
        r"POLL:|UMFRAGE:|ENCUESTA:|SONDAGE ?:|SONDAGGIO:|ENQUETE:",
        r"[^\W\d]{4,14} ?: https?://maps\.google\.com/\?q=[-\d.,]+",
        r"live location shared|live-standort wird geteilt|ubicación en tiempo real compartida",
        r"(?:missed|silenced) (?:voice|video|group voice|group video) call|verpasster (?:sprach|video)anruf",
        r"appel (?:vocal|vidéo) manqué|llamada perdida|videollamada perdida|chamada de (?:voz|vídeo) perdida",
        r"waiting for this message\b.{0,60}|auf diese nachricht warten\b.{0,60}",
    )
    + r")[.]?",
    re.IGNORECASE,
)
FILE_NAME = r"[^\s<>/\\:]+(?: [^\s<>/\\:]+){0,8}?\.\w{2,5}"
ATTACHED = re.compile(
    rf"^\s*{FILE_NAME} \([^()\d]{{4,30}}\)\s*(?:\n|$)|<[^<>:]{{2,30}}:\s?[^<>]+\.\w{{2,5}}>"
    # Signal's, as Markdown
    r"|!?\[[^\[\]\n]{0,80}\]\(\.?/?(?:media|attachments)/[^()\n]{1,200}\)",
    re.IGNORECASE,
)
DELETED = re.compile(
    "(?:"
    + any_of(
        "(?:this message was|you) deleted(?: this message)?(?: by admin.*)?",
        "diese nachricht wurde (?:von .* )?gelöscht",
        "du hast diese nachricht gelöscht",
        "ce message a été supprimé(?: par .*)?",
        "vous avez supprimé ce message",
        "(?:se eliminó|eliminaste|has eliminado) este mensaje",
        "este mensaje (?:fue|ha sido) eliminado(?: por .*)?",
        "(?:esta )?mensagem (?:foi )?apagada(?: por .*)?",
        "(?:você )?apag(?:ou|aste) esta mensagem",
        "você apagou essa mensagem",
        "esta mensagem foi eliminada|eliminaste esta mensagem",
        "questo messaggio è stato eliminato",
        "(?:hai )?eliminat?o? questo messaggio",
        "dit bericht (?:is|werd) (?:verwijderd|gewist)",
        "(?:u|je|jij) (?:hebt|heb|heeft) dit bericht verwijderd",
        "bu mesaj silindi|bu mesajı sildiniz",
        "(?:данное |это )?сообщение удалено|вы удалили (?:данное|это) сообщение",
        "(?:це |дане )?повідомлення (?:було )?видалено|ви видалили це повідомлення",
        "ta wiadomość została (?:usunięta|skasowana)|(?:usunięto|skasowano) tę wiadomość|usunąłeś tę wiadomość",
        "detta meddelande raderades|du raderade det(?:ta| här) meddelandet?",
        "denne (?:besked|meldingen|beskeden) (?:blev|ble) slettet|du slettede denne besked|du slettet denne meldingen",
        "tämä viesti poistettiin|poistit tämän viestin",
        "tato zpráva byla (?:odstraněna|smazána)|tuto zprávu jste smazali",
        "ez az üzenet törölve lett|üzenet törölve",
        "acest mesaj a fost șters",
        "αυτό το μήνυμα διαγράφηκε",
        "pesan ini telah dihapus|(?:anda|kamu) (?:telah )?menghapus pesan ini",
        "tin nhắn này đã bị xóa|tin nhắn đã bị xóa|bạn đã xóa tin nhắn này",
        "此(?:消息|訊息|讯息)已(?:被)?(?:删除|刪除)|[你您](?:已)?(?:删除|刪除)了?(?:此消息|這則訊息|此訊息|这条消息)",
        "この?メッセージは削除され(?:ました|ています)|このメッセージを削除しました|メッセージを削除しました",
        "삭제된 메시지입니다|이 메시지는 삭제되었습니다|메시지가 삭제되었습니다",
        "تم حذف هذه الرسالة|لقد حذفت هذه الرسالة|حذفت هذه الرسالة|هذه الرسالة محذوفة",
        "यह (?:संदेश|मैसेज) (?:हटा दिया गया|मिटाया गया|हटाया गया)(?: है| था)?|आपने यह (?:संदेश|मैसेज) .*",
        "הודעה זו נמחקה|מחקת הודעה זו",
    )
    + r")[.。।]?",
    re.IGNORECASE,
)
EDITED = any_of(
    "edited", "bearbeitet", "modifié", "editó", "editad[oa]", "modificat[oa]", "bewerkt", "düzenlendi", "изменено",
    "отредактировано", "змінено", "edytowan[oa]", "已编辑", "已編輯", "編集", "수정", "تعديل", "diedit", "redigerat",
    "redigera[td]?e?s?", "redigert", "muokattu", "upraven[oa]", "संपादित", "chỉnh sửa", "נערכה", "επεξεργασ",
)  # fmt: skip
# What is added to a message: that it was edited, and in exports of Signal the reactions to it.
CHANGED = re.compile(
    rf"\u200e?<[^<>]{{0,60}}(?:{EDITED})[^<>]{{0,60}}>\s*$|\n\(- [^\n]{{1,200}} -\)\s*$", re.IGNORECASE
)
ENCRYPTED = re.compile(
    r"^\u200e?.{0,80}?(?:"
    + any_of(
        "(?:messages|chat)[^\n]*end-to-end[ -]encrypted",
        "nachrichten[^\n]*ende-zu-ende-verschlüsselt",
        "messages[^\n]*chiffrés de bout en bout",
        "mensajes[^\n]*cifrad[oa]s de extremo a extremo",
        "mensagens[^\n]*(?:criptografia|encriptadas) (?:de )?ponta a ponta",
        "messaggi[^\n]*(?:crittografati|crittografia) end-to-end",
        "berichten[^\n]*end-to-end[ -]versleuteld",
        "mesajlar[^\n]*uçtan uca şifreli",
        "сообщения[^\n]*сквозн",
        "wiadomości[^\n]*szyfrowan",
        "meddelanden[^\n]*krypterade",
        "消息[^\n]*端到端加密",
        "訊息[^\n]*端對端加密",
        "エンドツーエンド",
        "종단간 암호화",
        "الرسائل[^\n]*مشفرة",
        "pesan[^\n]*end-to-end",
    )
    + ")",
    re.IGNORECASE,
)
