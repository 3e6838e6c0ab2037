"""Where the profanity lists are wrong about speech: what they lack, and the ordinary words that they hold."""

from __future__ import annotations

from types import MappingProxyType

ADDED = MappingProxyType(
    {
        "en": frozenset(
            {
                "arse", "arseholes", "asses", "assholes", "bastards", "bitched", "bitchy", "bitching", "bullshitting",
                "cocksuckers", "cocksucking", "crap", "crappy", "cunts", "dammit", "damn", "damned", "damnit", "dickhead",
                "dickheads", "dumbasses", "faggots", "fags", "fucked", "fuckers", "fucks", "goddamn", "goddamned",
                "goddamnit", "horseshit", "jackasses", "motherfuckers", "motherfucking", "niggas", "niggers", "piss",
                "shits", "shitted", "shitting", "sluts", "slutty", "twats", "wanker", "wankers", "whore", "whores",
            }
        ),
    }
)  # fmt: skip

ORDINARY = MappingProxyType(
    {
        "en": frozenset(
            {
                "alabama hot pocket", "alaskan pipeline", "anal", "anus", "baby juice", "bareback", "barely legal",
                "barenaked", "bastardized", "bastinado", "big black", "birdlock", "black cock", "bondage", "butt",
                "chocolate rosebuds", "cock", "cocks", "coon", "coons", "date rape", "domination", "ejaculation", "erotic",
                "escort", "eunuch", "fecal", "fingering", "genitals", "girl on", "girl on top", "girls gone wild", "grope",
                "hard core", "hardcore", "hoe", "honkey", "hot chick", "how to kill", "how to murder", "huge fat",
                "incest", "intercourse", "jelly donut", "kinky", "leather restraint", "leather straight jacket", "lolita",
                "lovemaking", "mf", "mr hands", "negro", "neonazi", "nipple", "nipples", "nude", "nudity", "one guy one jar",
                "orgasm", "paedophile", "panties", "panty", "pedophile", "pegging", "penis", "playboy", "pleasure chest",
                "pornography", "prince albert piercing", "rape", "raping", "rapist", "rectum", "retard", "sadism",
                "santorum", "scat", "semen", "sex", "sexo", "sexy", "shrimping", "simp", "skeet", "snatch", "snowballing",
                "spunk", "strappado", "strip club", "suck", "sucks", "swastika", "swinger", "tainted love", "taste my",
                "testbad01", "tied up", "tight white", "tongue in a", "topless", "twink", "twinkie", "undressing", "vagina",
                "vibrator", "violet wand", "voyeur", "vulva", "white power", "wrapping men", "xx", "xxx",
            }
        ),
        "de": frozenset(
            {
                "bonze", "ische", "kimme", "l\u00fcmmel", "m\u00f6pse", "mufti", "nackt", "nippel", "orgasmus", "popel",
                "poppen", "rosette", "schabracke", "schiesser",
            }
        ),
        "es": frozenset(
            {
                "asesinato", "asno", "concha", "drogas", "esperma", "haciendo el amor", "hero\u00edna", "idiota",
                "imb\u00e9cil", "infierno", "martillo", "nazi", "orina", "pervertido", "pez\u00f3n", "pis", "racista",
                "s\u00e1dico", "semen", "sexo", "sexo oral", "t\u00eda buena", "travesti", "trio", "vulva",
            }
        ),
        "fr": frozenset(
            {
                "bander", "bitte", "bosser", "bourr\u00e9", "bourr\u00e9e", "cailler", "drague", "folle", "gerbe", "gerber",
                "grande folle", "jouir", "m\u00e9nage \u00e0 trois", "meuf", "p\u00e9dale", "p\u00e9ter", "pipi", "ramoner",
                "tanche", "teuf", "trique", "veuve",
            }
        ),
        "it": frozenset(
            {
                "ammucchiata", "anale", "bagnarsi", "balle", "battere", "biga", "brinca", "buona donna", "cadavere",
                "cammello", "cappella", "carciofo", "carit\u00e0", "casci", "cozza", "duro", "fava", "finocchio",
                "grilletto", "guanto", "ingoio", "l'arte bolognese", "lumaca", "manico", "mona", "monta", "montare",
                "nave scuola", "nudo", "palle", "palloso", "patacca", "pesce", "pipa", "pip\u00ec", "pisello", "pistola",
                "pistolotto", "pompa", "quaglia", "regina", "ruffiano", "sbattere", "sbattersi", "sega", "spagnola",
                "tirare", "topa", "uccello", "vacca", "vangare", "venire", "zio cantante",
            }
        ),
    }
)  # fmt: skip
"""Words that everyday, medical or news speech needs; a mask over them would take more than it protects."""

NAMES = frozenset({"dick", "dicks", "poon"})
"""Profane in lower case, a person's name with a capital: "Dick Smith"."""
