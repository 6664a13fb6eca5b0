"""Made-up readers: names in many scripts, addresses at .example domains (RFC 2606), time zones,
languages, towns. The same numbers give the same people on every machine."""

import csv
import random

# Domains of one mail provider share its group, as in real lists.
PROVIDERS = {
    "mail.example": "mail", "post.example": "mail", "web.example": "web", "inbox.example": "inbox",
    "correo.example": "inbox",
}
DOMAINS = [*PROVIDERS, "univ.example", "bücher.example", "shop.example", "club.example"]

# language, zone, towns, given names and family names as (written, in letters for the address)
PEOPLES = [
    ("en", "Europe/London", ["London", "Leeds", "Cardiff"],
     [("Grace", "grace"), ("Oliver", "oliver"), ("Niamh", "niamh"), ("Zoë", "zoe")],
     [("O'Neill", "oneill"), ("Fletcher", "fletcher"), ("D'Arcy", "darcy"), ("Okafor", "okafor")]),
    ("en", "America/New_York", ["Boston", "Newark", "Raleigh"],
     [("Avery", "avery"), ("Luis", "luis"), ("Mei", "mei"), ("Dakota", "dakota")],
     [("Johnson, Jr.", "johnson"), ("Nguyen", "nguyen"), ("Kowalski", "kowalski")]),
    ("de", "Europe/Berlin", ["Köln", "Görlitz", "Bremen"],
     [("Jürgen", "juergen"), ("Käthe", "kaethe"), ("Björn", "bjoern"), ("Anneliese", "anneliese")],
     [("Müller", "mueller"), ("Weiß", "weiss"), ("von der Höhe", "vdhoehe")]),
    ("fr", "Europe/Paris", ["Nîmes", "Orléans", "Brest"],
     [("Chloé", "chloe"), ("François", "francois"), ("Aïcha", "aicha")],
     [("Lefèvre", "lefevre"), ("Dufour", "dufour"), ("Bâ", "ba")]),
    ("ar", "Africa/Cairo", ["القاهرة", "الإسكندرية"],
     [("ليلى", "layla"), ("سليم", "salim"), ("مريم", "maryam")],
     [("حدّاد", "haddad"), ("المصري", "almasri"), ("منصور", "mansour")]),
    ("ur", "Asia/Karachi", ["کراچی", "لاہور"],
     [("عائشہ", "ayesha"), ("حمزہ", "hamza"), ("زینب", "zainab")],
     [("خان", "khan"), ("قریشی", "qureshi"), ("ملک", "malik")]),
    ("ru", "Europe/Moscow", ["Казань", "Тверь"],
     [("Ольга", "olga"), ("Дмитрий", "dmitry"), ("Аня", "anya")],
     [("Соколова", "sokolova"), ("Ежов", "ezhov"), ("Щукин", "shchukin")]),
    ("el", "Europe/Athens", ["Πάτρα", "Χανιά"],
     [("Ελένη", "eleni"), ("Νίκος", "nikos")], [("Παππάς", "pappas"), ("Γεωργίου", "georgiou")]),
    ("he", "Asia/Jerusalem", ["חיפה", "תל אביב"],
     [("נועה", "noa"), ("יוסי", "yossi")], [("כהן", "cohen"), ("לוי", "levi")]),
    ("hi", "Asia/Kolkata", ["पुणे", "जयपुर"],
     [("आरती", "aarti"), ("विक्रम", "vikram")], [("शर्मा", "sharma"), ("पटेल", "patel")]),
    ("zh", "Asia/Shanghai", ["苏州", "厦门"],
     [("伟", "wei"), ("秀英", "xiuying"), ("思远", "siyuan")], [("王", "wang"), ("欧阳", "ouyang")]),
    ("ja", "Asia/Tokyo", ["函館", "奈良"],
     [("さくら", "sakura"), ("健太", "kenta")], [("田中", "tanaka"), ("小林", "kobayashi")]),
    ("ko", "Asia/Seoul", ["부산", "전주"],
     [("지민", "jimin"), ("서연", "seoyeon")], [("김", "kim"), ("박", "park")]),
    ("tr", "Europe/Istanbul", ["İzmir", "Muğla"],
     [("Işıl", "isil"), ("Çağrı", "cagri")], [("Yılmaz", "yilmaz"), ("Öztürk", "ozturk")]),
    ("pl", "Europe/Warsaw", ["Łódź", "Gdańsk"],
     [("Zofia", "zofia"), ("Łukasz", "lukasz")], [("Wójcik", "wojcik"), ("Żak", "zak")]),
    ("pt", "America/Sao_Paulo", ["São Luís", "Belém"],
     [("João", "joao"), ("Inês", "ines")], [("Gonçalves", "goncalves"), ("da Conceição", "dconceicao")]),
]

COLUMNS = ["email", "name", "lang", "zone", "topics", "city"]


def people(count, seed=7):
    """`count` readers, each a dictionary of COLUMNS; no two with one address."""
    dice = random.Random(seed)
    known = {}
    for _ in range(count):
        lang, zone, towns, given, family = dice.choice(PEOPLES)
        first, last = dice.choice(given), dice.choice(family)
        base, domain = f"{first[1]}.{last[1]}", dice.choice(DOMAINS)
        number = known[base, domain] = known.get((base, domain), 0) + 1
        local = base if number == 1 else f"{base}{number}"
        yield {"email": f"{local}@{domain}", "name": f"{first[0]} {last[0]}", "lang": lang,
               "zone": zone, "topics": "", "city": dice.choice(towns)}


def write_csv(path, readers):
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(readers)


def on_the_wire(email):
    """The address as an envelope carries it: the domain in ASCII."""
    local, domain = email.rsplit("@", 1)
    return f"{local}@{domain.encode('idna').decode('ascii')}"
