#!/usr/bin/env python3
"""Prints pattern_table.h: scripts, and what is alphabetic, upper or lower case beyond its general category, as the reference's regular
expressions see it (Unicode 16). Asks the reference (PyPI tokenizers), character by character."""
import sys
import unicodedata
from tokenizers import Regex, pre_tokenizers

NAMES = """Adlam Ahom Anatolian_Hieroglyphs Arabic Armenian Avestan Balinese Bamum Bassa_Vah Batak Bengali Bhaiksuki Bopomofo Brahmi Braille Buginese
Buhid Canadian_Aboriginal Carian Caucasian_Albanian Chakma Cham Cherokee Chorasmian Common Coptic Cuneiform Cypriot Cypro_Minoan Cyrillic Deseret
Devanagari Dives_Akuru Dogra Duployan Egyptian_Hieroglyphs Elbasan Elymaic Ethiopic Garay Georgian Glagolitic Gothic Grantha Greek Gujarati Gunjala_Gondi
Gurmukhi Gurung_Khema Han Hangul Hanifi_Rohingya Hanunoo Hatran Hebrew Hiragana Imperial_Aramaic Inherited Inscriptional_Pahlavi
Inscriptional_Parthian Javanese Kaithi Kannada Katakana Kawi Kayah_Li Kharoshthi Khitan_Small_Script Khmer Khojki Khudawadi Kirat_Rai Lao Latin Lepcha
Limbu Linear_A Linear_B Lisu Lycian Lydian Mahajani Makasar Malayalam Mandaic Manichaean Marchen Masaram_Gondi Medefaidrin Meetei_Mayek Mende_Kikakui
Meroitic_Cursive Meroitic_Hieroglyphs Miao Modi Mongolian Mro Multani Myanmar Nabataean Nag_Mundari Nandinagari New_Tai_Lue Newa Nko Nushu
Nyiakeng_Puachue_Hmong Ogham Ol_Chiki Ol_Onal Old_Hungarian Old_Italic Old_North_Arabian Old_Permic Old_Persian Old_Sogdian Old_South_Arabian Old_Turkic
Old_Uyghur Oriya Osage Osmanya Pahawh_Hmong Palmyrene Pau_Cin_Hau Phags_Pa Phoenician Psalter_Pahlavi Rejang Runic Samaritan Saurashtra Sharada
Shavian Siddham SignWriting Sinhala Sogdian Sora_Sompeng Soyombo Sundanese Sunuwar Syloti_Nagri Syriac Tagalog Tagbanwa Tai_Le Tai_Tham Tai_Viet Takri
Tamil Tangsa Tangut Telugu Thaana Thai Tibetan Tifinagh Tirhuta Todhri Toto Tulu_Tigalari Ugaritic Vai Vithkuqi Wancho Warang_Citi Yezidi Yi
Zanabazar_Square""".split()
# of four letters, as far as they are in use
SHORT = dict(Arab="Arabic", Armn="Armenian", Beng="Bengali", Bopo="Bopomofo", Cyrl="Cyrillic", Deva="Devanagari", Ethi="Ethiopic", Geor="Georgian",
             Grek="Greek", Gujr="Gujarati", Guru="Gurmukhi", Hang="Hangul", Hani="Han", Hebr="Hebrew", Hira="Hiragana", Kana="Katakana", Khmr="Khmer",
             Knda="Kannada", Laoo="Lao", Latn="Latin", Mlym="Malayalam", Mong="Mongolian", Mymr="Myanmar", Orya="Oriya", Sinh="Sinhala", Syrc="Syriac",
             Taml="Tamil", Telu="Telugu", Thaa="Thaana", Tibt="Tibetan", Yiii="Yi", Zinh="Inherited", Zyyy="Common")
ALL = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
TEXT = "".join(map(chr, ALL))


def members(pattern):
    """Every character that the pattern, one set, takes."""
    inside, at = bytearray(0x110000), 0
    for piece, _ in pre_tokenizers.Split(Regex(f"[^{pattern}]+"), "removed").pre_tokenize_str(TEXT):
        at = TEXT.index(piece, at)
        for c in ALL[at:at + len(piece)]:
            inside[c] = 1
        at += len(piece)
    return inside


def stretches(values):
    """(where it begins, value), neighbours of one value as one; surrogates as what stands before them."""
    out = []
    for c in ALL:
        if not out or out[-1][1] != values[c]:
            out.append((c, values[c]))
    return out


def table(name, items):
    print(f"static const uint32_t {name}[] = {{")
    line = "   "
    for c, value in items:
        item = f" 0x{c << 8 | value:X},"
        if len(line) + len(item) > 126:
            print(line)
            line = "   "
        line += item
    print(f"{line}\n}};")


def main():
    script = bytearray(0x110000)
    for i, name in enumerate(NAMES):
        for c, inside in enumerate(members(rf"\p{{{name}}}")):
            if inside:
                assert not script[c], hex(c)
                script[c] = i + 1
    alpha, upper, lower = (members(rf"\p{{{name}}}") for name in ("Alphabetic", "Uppercase", "Lowercase"))
    letter, lu, ll = (members(rf"[\p{{{a}}}\p{{{b}}}]") for a, b in (("L", "Nl"), ("Lu", "Lu"), ("Ll", "Ll")))
    extra = bytearray(0x110000)
    for c in ALL:
        extra[c] = (alpha[c] != letter[c]) | (upper[c] != lu[c]) << 1 | (lower[c] != ll[c]) << 2
    print("/* Made by pattern_table.py: where a stretch begins, << 8 | its script (1: the first name; 0: none). Unicode 16. */")
    table("scripts", stretches(script))
    print("/* Where a stretch begins, << 8 | 1: alphabetic, but neither L nor Nl; 2: upper case, but not Lu; 4: lower case, but not Ll. */")
    table("extras", stretches(extra))
    print("/* Names without marks, in small letters. */")
    for name, items in (("script_names", [(n, i + 1) for i, n in enumerate(NAMES)]), ("short_names", [(k, NAMES.index(v) + 1) for k, v in SHORT.items()])):
        print(f"static const struct {{ const char *name; uint32_t script; }} {name}[] = {{")
        line = "   "
        for n, i in items:
            item = f' {{ "{n.replace("_", "").lower()}", {i} }},'
            if len(line) + len(item) > 126:
                print(line)
                line = "   "
            line += item
        print(f"{line}\n}};")


main()
