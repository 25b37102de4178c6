"""What the names of files and folders say of a sound: few are sentences, most are words between numbers and codes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby

LANGUAGES = {
    "ar": "Arabic", "be": "Belarusian", "bg": "Bulgarian", "bn": "Bengali", "ca": "Catalan", "cs": "Czech",
    "cy": "Welsh", "da": "Danish", "de": "German", "el": "Greek", "en": "English", "es": "Spanish", "et": "Estonian",
    "eu": "Basque", "fa": "Persian", "fi": "Finnish", "fr": "French", "ga": "Irish", "gl": "Galician",
    "he": "Hebrew", "hi": "Hindi", "hr": "Croatian", "hu": "Hungarian", "id": "Indonesian", "is": "Icelandic",
    "it": "Italian", "ja": "Japanese", "ka": "Georgian", "ko": "Korean", "lt": "Lithuanian", "lv": "Latvian",
    "mk": "Macedonian", "ml": "Malayalam", "mr": "Marathi", "nb": "Norwegian", "nds": "Low German", "nl": "Dutch",
    "nn": "Norwegian", "no": "Norwegian", "pl": "Polish", "pt": "Portuguese", "ro": "Romanian", "ru": "Russian",
    "sk": "Slovak", "sl": "Slovenian", "sr": "Serbian", "sv": "Swedish", "sw": "Swahili", "ta": "Tamil",
    "te": "Telugu", "th": "Thai", "tr": "Turkish", "uk": "Ukrainian", "ur": "Urdu", "vi": "Vietnamese",
    "wa": "Walloon", "zh": "Chinese",
}  # fmt: skip
"""ISO 639 code to English name, of the languages that speech corpora are most often in."""

_WORDS_TOO = frozenset({"be", "fi", "he", "hi", "id", "is", "it", "no", "wa"})
"""Codes that are words at the end of a file name, such as "sci_fi"; the name of a folder they hardly are."""

UCS = {
    "AEROHeli": "helicopter", "AEROJet": "jet aircraft", "AEROProp": "propeller aircraft", "ALRMBell": "bell alarm",
    "ALRMElec": "electronic alarm", "ALRMSirn": "siren", "AMBBird": "birdsong ambience", "AMBForst": "forest ambience",
    "AMBMrkt": "market ambience", "AMBOffc": "office ambience", "AMBPark": "park ambience", "AMBRoom": "room tone",
    "AMBSea": "seaside ambience", "AMBTraf": "traffic ambience", "AMBUrbn": "urban ambience", "ANMLCat": "cat",
    "ANMLDog": "dog", "ANMLFarm": "farm animal", "ANMLHors": "horse", "ANMLInsc": "insect", "BEEP": "beep",
    "BELLDoor": "doorbell", "BELLHand": "handbell", "BELLLrg": "large bell", "BIRDCrow": "crow", "BIRDFowl": "fowl",
    "BIRDSea": "sea bird", "BIRDSong": "songbird", "BOATMotr": "motorboat", "CERMBrk": "ceramic break",
    "CHAINMvmt": "chain movement", "CLOCKChim": "clock chime", "CLOCKTick": "clock tick",
    "CLOTHMvmt": "cloth movement", "CLOTHRip": "cloth rip", "COMTelph": "telephone", "COMStatic": "radio static",
    "COMType": "typewriter", "CMPTKey": "computer keyboard and mouse", "CRWDApls": "crowd applause",
    "CRWDCheer": "crowd cheering", "CRWDLaff": "crowd laughter", "CRWDWalla": "crowd walla", "DOORCreak": "door creak",
    "DOORGate": "gate", "DOORKnck": "door knock", "DOORMetl": "metal door", "DOORWood": "wood door",
    "DSGNBoom": "designed boom", "DSGNDron": "designed drone", "DSGNRise": "designed riser",
    "DSGNWhsh": "designed whoosh", "ELECArc": "electric arc", "ELECBuzz": "electric buzz", "EXPLReal": "explosion",
    "FEETHmn": "human footsteps", "FEETHors": "horse footsteps", "FIREBurn": "burning fire",
    "FIRECrkl": "fire crackle", "FOODDrnk": "drinking", "FOODEat": "eating", "FRWKComr": "fireworks",
    "GLASBrk": "glass break", "GLASImpt": "glass impact", "GUNAuto": "automatic gun", "GUNPis": "pistol",
    "GUNRif": "rifle", "GUNShotg": "shotgun", "HMNBrth": "human breath", "HMNCough": "human cough",
    "HMNHart": "heartbeat", "HMNSneez": "human sneeze", "HMNSnor": "human snore", "MACHFan": "fan",
    "MECHSwtch": "switch", "METLFric": "metal friction", "METLImpt": "metal impact", "MOTRElec": "electric motor",
    "MUSCPerc": "percussion", "OBJKey": "keys", "PAPRRip": "paper rip", "PLASImpt": "plastic impact", "RAIN": "rain",
    "RAINMetl": "rain on metal", "ROCKImpt": "rock impact", "THUN": "thunder", "TOOLPowr": "power tool",
    "TRNSbwy": "subway train", "UIClick": "interface click", "VEHBike": "bicycle", "VEHCar": "car",
    "VEHHorn": "vehicle horn", "VEHMoto": "motorcycle", "VOXCry": "crying voice", "VOXLaff": "laughing voice",
    "WATRDrip": "water drip", "WATRSplsh": "water splash", "WATRWave": "water wave", "WIND": "wind",
    "WOODImpt": "wood impact",
}  # fmt: skip
"""A hundred common CatIDs of the 752 in the Universal Category System 8.2.1, which is public domain
(universalcategorysystem.com), to their category and subcategory as one would say them."""

_PLAIN = "|".join(category for category in UCS if category.isupper())
_UCS_NAME = re.compile(rf"([A-Z]{{2,}}[a-z]+[A-Za-z]*|{_PLAIN})(?:-[^_]+)?_(?:[^_-]+-)?([^_]+)_[^_]+_.+")
"""`CatID(-UserCategory)_(VendorCategory-)FXName_CreatorID_SourceID(_UserData)`."""

_PIECES = re.compile(r"[^\W_]+")
_LETTERS = re.compile(r"[^\W\d_]+")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_HASH = re.compile(r"(?<![^\W_])(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{8,}(?![^\W_])", re.IGNORECASE)
_RUNS = re.compile(r"\d+|[^\W\d_]+")
_LOCALE = re.compile(r"[a-z]{2}(?:[_-][A-Z]{2}(?![A-Za-z])|@).*")
_REGIONAL = re.compile(r"(?:^|.*[-_])[a-z]{2}[-_](?:us|gb|au|br|mx|cn|tw)(?:[-_].*|$)", re.IGNORECASE)


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_JOINING = _set("and at by for from in into of off on onto over through to under with")
_ENDING = _set("by in off on over through under")  # a car passing by, a cave-in
_SHORT = _JOINING | {"cd", "ox", "pc", "tv"}
_EMPTY = _set("""
    a an the audio sound sounds sfx fx clip clips sample samples track tracks take takes file files rec recording
    recorded recordings new old final mix master edit version ver copy untitled unknown wav mp3 ogg oga flac aif aiff
    opus left right mono stereo loop hq lq data dataset corpus split part disc side shard tar zip default misc other
    none null usr share lib src tmp home var media assets resources item items game games output export effect
    effects env pair clean noisy degraded id sim theme main dry wet raw
""")  # fmt: skip
"""Words that name a file and not a sound."""
_SPLITS = _set("train test dev valid validation eval val")  # folders of a data set; a file may be of a train

_COLLECTIONS = _set("""
    esc esc10 esc50 urbansound urbansound8k us8k fsd50k fsdkaggle freesound audioset vggsound clotho audiocaps musdb
    gtzan fma librispeech libritts ljspeech vctk commonvoice rhasspy freedesktop wesnoth minetest luanti
    widelands warzone warzone2100 tuxpaint supertux hedgewars sonicpi librosa asterisk
""")  # fmt: skip
"""Public collections and programs whose names open the names of their files."""

_SPOKEN = _set("""
    speech spoken speaker speakers voice voices vox dialog dialogs dialogue dialogues utterance utterances prompt
    prompts sentence sentences narration audiobook wakeword wakewords tts asr phonetic letters digits syllab
    syllables desc
""")  # fmt: skip
"""Words for speech; Tux Paint's "desc" is a spoken description."""
_MUSIC = frozenset({"music", "song", "songs", "soundtrack", "ost"})


def words_of(name: str) -> str:
    """The telling words of a file's own name: `sfx/dog_bark_03.wav` gives "dog bark", `a0412.flac` nothing.

    Names marked as speech, or with a language, say what is spoken and not what is heard: they give nothing. What is
    in a folder of music is music: `music/battle.ogg` gives "battle music", and not a battle.
    """
    folders, stem = _parted(name)
    if found := _UCS_NAME.fullmatch(stem):
        return _of_category(found[1], _text(found[2]))
    if stem in UCS:
        return UCS[stem]
    if is_spoken(name) or _HASH.search(stem):
        return ""
    words = _text(stem)
    music = _of_music(folders) and not _MUSIC & set(words.split())
    return f"{words} music" if words and music else words


def folder_words(name: str) -> str:
    """The telling words of the folder a file lies in, or of the one above: `glass/0001.wav` gives "glass"."""
    folders, _ = _parted(name)
    if is_spoken(name):
        return ""
    if _of_music(folders):
        return "music"
    near = [folder for folder in folders[:-3:-1] if folder.lower() not in _SPLITS]
    return next((words for folder in near if (words := _text(folder))), "")


def telling(text: str) -> bool:
    """Whether a text has a word that may name a sound."""
    return bool(_text(text))


def is_spoken(name: str) -> bool:
    """Whether a name says that it is of speech: a folder or word for it, or a language at either end."""
    folders, stem = _parted(name)
    if any(folder in LANGUAGES or _LOCALE.fullmatch(folder) for folder in folders):
        return True
    pieces = _PIECES.findall(stem)
    ends = {piece for piece in pieces[:1] + pieces[-1:] if len(pieces) > 1}
    in_a_language = any(end in LANGUAGES and end not in _WORDS_TOO for end in ends) or _REGIONAL.fullmatch(stem)
    return bool(in_a_language) or any(_SPOKEN & set(_tokens(part)) for part in [*folders, stem])


def _parted(name: str) -> tuple[list[str], str]:
    """The folders from the top, and the file's name without its ending."""
    *folders, leaf = name.split("/")
    return folders, re.sub(r"\.[A-Za-z0-9]{2,4}$", "", leaf)


def _of_music(folders: list[str]) -> bool:
    """Whether one of the two folders next to the file is of music."""
    return any(_MUSIC & set(_tokens(folder)) for folder in folders[-2:])


def _of_category(category: str, words: str) -> str:
    """What the category adds in front of the words: "wood" to "creaking door"."""
    said = {word[:4] for word in words.split()}
    added = [word for word in UCS.get(category, "").split() if word[:4] not in said]
    return " ".join([*added, words]).strip()


def _text(text: str) -> str:
    """The words that tell, those that join them between, each once in a row."""
    runs = groupby(filter(_tells, _tokens(text)), key=lambda word: word.rstrip("s"))
    words = [list(run)[-1] for _, run in runs]
    while words and words[0] in _JOINING:
        words.pop(0)
    while words and words[-1] in _JOINING - _ENDING:
        words.pop()
    return " ".join(words)


def _tokens(text: str) -> Iterator[str]:
    """Words in lower case: camel case and digits part them; codes and names of collections are left out."""
    for piece in _PIECES.findall(text):
        if piece.lower() in _COLLECTIONS or len(_RUNS.findall(piece)) > 3:  # 2eKa0oleW is an id
            continue
        for letters in _LETTERS.findall(piece):
            yield from (word.lower() for word in _CAMEL.split(letters))


def _tells(word: str) -> bool:
    """Whether a word could be said and says something; of a script other than Latin every word could."""
    if word in _EMPTY or word in _COLLECTIONS:
        return False
    return word in _SHORT or not word.isascii() or (len(word) > 2 and re.search(r"[aeiouy]", word) is not None)
