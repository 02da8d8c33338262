"""English plurals as the generated CRDs' names need them.

The plural is part of a CRD's name, so the tables and the order of the rules are a wire contract,
oddities included (`Demo` → `demoes`). Source: api-and-operations.md, Appendix A.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final, NamedTuple

# A dictionary entry is `singular→plural`; `=` stands for the same word in both, `|` adds another
# plural that is known but not produced, `!` takes no part in compound words, `^` is produced but
# not recognised as a plural.
_DICTIONARY: Final = """
aircraft= beef=|beefs bison= blues=^ chassis= deer= fish=|fishes moose= police= salmon=|salmons
series= sheep= shrimp=|shrimps species= swine=|swines trout=|trouts tuna=|tunas you=
child→children ox→oxen! foot→feet goose→geese man→men human→humans louse→lice! mouse→mice
tooth→teeth woman→women die→dice! person→people adieu→adieux|adieus fabliau→fabliaux
bureau→bureaus|bureaux criterion→criteria ganglion→ganglia|ganglions lexicon→lexica|lexicons
mitochondrion→mitochondria|mitochondrions noumenon→noumena phenomenon→phenomena taxon→taxa
media= medium→media|mediums^ stadium→stadiums|stadia aquarium→aquaria|aquariums
auditorium→auditoria|auditoriums symposium→symposia|symposiums curriculum→curriculums|curricula
quota→quotas alumnus→alumni|alumnuses bacillus→bacilli cactus→cacti|cactuses coccus→cocci
focus→foci|focuses locus→loci|locuses nucleus→nuclei|nucleuses octopus→octupuses|octopi
radius→radii|radiuses syllabus→syllabi corpus→corpora|corpuses genus→genera alumna→alumnae
vertebra→vertebrae differentia→differentiae minutia→minutiae vita→vitae larva→larvae
postcava→postcavae praecava→praecavae uva→uvae apex→apices|apexes codex→codices|codexes
index→indices|indexes latex→latices|latexes vertex→vertices|vertexes vortex→vortices|vortexes
appendix→appendices|appendixes radix→radices|radixes helix→helices|helixes axis→axes!
crisis→crises ellipsis→ellipses^ genesis→geneses oasis→oases thesis→theses testis→testes
base→bases basis→bases^ alias→aliases! vedalia→vedalias use→uses! abuse→abuses cause→causes
clause→clauses cruse→cruses excuse→excuses fuse→fuses house→houses misuse→misuses muse→muses
pause→pauses ache→aches topaz→topazes buffalo→buffaloes|buffalos potato→potatoes tomato→tomatoes
equipment= information= jeans= money= news= rice= dwarf→dwarfs|dwarves hoof→hoofs|hooves
thief→thieves chive→chives hive→hives move→moves movie→movies cookie→cookies
pretorium→pretoriums agenda→agendas formula→formulas|formulae shoe→shoes toe→toes! graffiti=
"""

_SUFFIXES: Final = """
tive→tives eaf→eaves oaf→oaves afe→aves arf→arves rfe→rves rf→rves lf→lves fe→ves ay→ays ey→eys
oy→oys quy→quies uy→uys y→ies eau→eaux bula→bulae dula→bulae lula→bulae nula→bulae vula→bulae
hedron→hedra ium→ia seum→seums eum→ea oum→oa stracum→straca dum→da elum→ela ilum→ila olum→ola
ulum→ula llum→lla ylum→yla imum→ima ernum→erna gnum→gna brum→bra crum→cra terum→tera serum→sera
trum→tra antum→anta atum→ata entum→enta etum→eta itum→ita otum→ota utum→uta ctum→cta ovum→ova
trix→trices iasis→iases mesis→meses kinesis→kineses resis→reses gnosis→gnoses opsis→opses
ysis→yses ouse→ouses lause→lauses us→uses ch→ches io→ios sh→shes ss→sses ez→ezzes iz→izzes
tz→tzes zz→zzes ano→anos lo→los to→tos oo→oos o→oes x→xes
"""

_ACRONYMS: Final = """
ack acl adsl aes ansi api arp atm bgp bss ccitt chap cidr cir cli cmos cpe cpu crc crt csma dce
dec des dhcp dmi dns dram dsl dslam dte eha eia eigrp eof ess fcc fcs fddi ftp gbic gepof hdlc
html http https iana icmp id idf ids ieee ietf imap ip ips isdn isp json jwt lacp lan lapb lapf
llc mac mc mdf mib mpls mtu nac nat nbma nic nrz nrzi nvram ok osi ospf oui pap pat pc pcm pdu
pim pop3 pots ppp pptp ptt pvst ram rarp rcp rfc rip rll rom rstp rtp sdlc sfd sfp slarp slip
smtp sna snap snmp sof sql sram ssh ssid stp syn tdm tftp tia tofu udp uri url usb utf8 utp uuid
vc vlan vlsm vpn w3c wan wep wpa www
"""


class _Word(NamedTuple):
    singular: str
    plural: str
    alternative: str
    exact: bool
    one_way: bool


def _word(entry: str) -> _Word:
    body = entry.rstrip("!^")
    exact, one_way = "!" in entry, "^" in entry
    forms, _, alternative = body.partition("|")
    if "=" in forms:
        singular = plural = forms.replace("=", "")
    else:
        singular, _, plural = forms.partition("→")
    return _Word(singular, plural, alternative, exact, one_way)


def _suffix(entry: str) -> tuple[str, str]:
    singular, _, plural_ending = entry.partition("→")
    return singular, plural_ending


_ACRONYM_WORDS: Final = frozenset(_ACRONYMS.split())
_WORDS: Final = tuple(_word(entry) for entry in _DICTIONARY.split())
_SINGULARS: Final = {word.singular: word.plural for word in _WORDS}
_PLURALS: Final = frozenset(
    form for word in _WORDS if not word.one_way for form in (word.plural, word.alternative) if form
)
_ENDINGS: Final = (
    *((word.singular, word.plural) for word in reversed(_WORDS) if not word.exact),
    *(_suffix(entry) for entry in _SUFFIXES.split()),
)
"""Compound words first, then the suffix rules: the first ending that matches decides."""


@lru_cache(maxsize=1024)
def plural(kind: str) -> str:
    """Return the plural resource name of a kind: `NetworkPolicy` → `networkpolicies`."""
    word = kind.lower()
    if word in _SINGULARS:
        return _SINGULARS[word]
    if word in _PLURALS:
        return word
    if word in _ACRONYM_WORDS:
        # Those that already end in s stay as they are: a sane plural where kro (Go) has none.
        return word if word.endswith("s") else word + "s"
    for singular, plural_form in _ENDINGS:
        if word.endswith(plural_form):
            return word
        if word.endswith(singular):
            return word[: -len(singular)] + plural_form
    return word if word.endswith("s") else word + "s"
