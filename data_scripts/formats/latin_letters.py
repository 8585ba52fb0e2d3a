"""Tells apart the old encodings of Latin letters, by the letters of the languages that are written in them."""

import re

# What old programs write: Windows in the West and in Central Europe, Macintosh, Windows in Turkey and the Baltic.
ENCODINGS = ("cp1252", "cp1250", "mac_roman", "cp1254", "cp1257")
# The letters of a language besides a to z. Portuguese has õ before e only; Hungarian and French are told by that.
LANGUAGES = {
    "French": "àâæçéèêëîïôœùûüÿ",
    "Spanish, French and Catalan": "àçéèêëïœùüáíñóúò",
    "Italian": "àèéìíîòóùú",
    "Portuguese": "áàâãçéêíóôúü",
    "German and Scandinavian": "äöüßåæøéèàóôê",
    "Dutch": "éëïöüáóèêíúä",
    "Icelandic": "áðéíóúýþæö",
    "Irish and Welsh": "áéíóúâêîôû",
    "Estonian and Finnish": "äöüõšžå",
    "Hungarian": "áéíóöőúüű",
    "Polish": "ąćęłńóśźż",
    "Czech": "áčďéěíňóřšťúůýž",
    "Slovak": "áäčďéíľňóôšťúýž",
    "Croatian and Slovene": "čćđšž",
    "Romanian": "ăâîşţ",
    "Turkish": "çğıöşüâîû",
    "Lithuanian": "ąčęėįšųūž",
    "Latvian": "āčēģīķļņšūž",
}
LETTERS = {name: re.compile(f"[{letters}]") for name, letters in LANGUAGES.items()}
LETTERS["Portuguese"] = re.compile(f"[{LANGUAGES['Portuguese']}]|õ(?=e)")
FOREIGN = re.compile(r"[^\W\da-z_ªº]")
CAPITAL = "À-ÖØ-ÞŠŽŒŸĄĆČĎĘĚŁĹĽŃŇŐŘŚŤŮŰŹŻĞİŞĀĒĖĢĪĮĶĻŅŪŲ"
SMALL = "ß-öø-ÿœšžąćčďęěłĺľńňőřśťůűźżăşţđğıāēėģīįķļņūų"
# A capital or a sign within a word, a sign that nobody types, and what ends no word in French, Portuguese or Estonian.
UNLIKELY = re.compile(
    rf"(?<=[a-zß-öø-ÿ])[{CAPITAL}¡¿¢-©«-¹¼-¾ˆ˜†‡‰‚„‹]|[‚ˆ˜†‡‰¤¦¨¬¯¸∂∆∏∑√∞∫≈◊˙˚˛˝ˇ]|(?<=[a-z])[^\W\da-z{SMALL}{CAPITAL}]"
    r"|[ªº](?=[^\W\d])|[õÕ](?!\w)|(?<=\w{3})û(?!\w)"
)


def unlikely_letters(text: str) -> int:
    """The number of characters that are unlikely in their place, or that the language of the text does not have.

    The language is the one whose letters fit best.
    """
    lowered = text.lower()
    fitting = max(len(letters.findall(lowered)) for letters in LETTERS.values())
    return len(UNLIKELY.findall(text)) + len(FOREIGN.findall(lowered)) - fitting
