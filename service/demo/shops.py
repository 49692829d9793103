"""The shops of the street and their products, as plain data.

Ids and UUIDs are fixed, so that two demos can be compared and printed examples stay true. The id of
a product is the id of its shop times 100 plus its rank by popularity. Prices are in the shop's
currency. One shop has closed: its tenant exists, but is not public. One has been quiet for days,
and one is new and has had a single event.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

TIMEZONE = "America/Tegucigalpa"


@dataclass(frozen=True, slots=True)
class Product:
    """One row of products.csv."""

    id: int
    tenant_id: int
    name: str
    price: Decimal


@dataclass(frozen=True, slots=True)
class Shop:
    """One row of tenants.csv, with the shop's products, most popular first.

    `has_server`: beside its pages, its server reports its sales, signed, and it alone those that
    were made in a chat; other shops report sales by their pages only. `quiet_days`: days before the
    end of the demo in which nobody visits it. `is_new`: it has a single event.
    """

    id: int
    uuid: str
    slug: str
    name: str
    products: tuple[Product, ...]
    status: str = "active"
    language: str = "es"
    currency: str = "HNL"
    has_server: bool = False
    quiet_days: int = 0
    is_new: bool = False


def _shop(identity: tuple[int, str, str, str], *shelf: tuple[str, str], **traits: Any) -> Shop:
    shop_id, uuid, slug, name = identity
    products = tuple(
        Product(shop_id * 100 + place, shop_id, product, Decimal(price))
        for place, (product, price) in enumerate(shelf, start=1)
    )
    return Shop(shop_id, uuid, slug, name, products, **traits)


SHOPS: tuple[Shop, ...] = (
    _shop(
        (1, "2c9c3384-651a-4ce9-af8c-3d0f9ae07b56", "la-colmena", "La Colmena"),
        ("Miel de abeja pura 750 ml", "185.00"),
        ("Miel de café 350 ml", "110.00"),
        ("Canasta de desayuno catracho", "620.00"),
        ("Rapadura de dulce", "38.00"),
        ("Polen de abeja 200 g", "145.00"),
        ("Jabón de miel y avena", "55.00"),
        ("Propóleo en gotas 30 ml", "130.00"),
        ("Granola con marañón 500 g", "125.00"),
        ("Rosquillas de maíz, bolsa", "45.00"),
        ("Queso seco de Olancho, libra", "98.00"),
        ("Mantequilla crema, libra", "72.00"),
        ("Frijoles rojos de seda, 5 libras", "115.00"),
        ("Vela de cera de abeja", "80.00"),
        ("Bálsamo labial de cera", "40.00"),
        ("Mermelada de mora 300 g", "75.00"),
        ("Horchata en polvo 400 g", "65.00"),
        has_server=True,
    ),
    _shop(
        (2, "13ba4b86-f324-45c0-a03e-9e3eee5bbba7", "cafe-marcala", "Café Marcala"),
        ("Café molido Marcala, libra", "160.00"),
        ("Café en grano de altura, libra", "175.00"),
        ("Café geisha edición limitada 340 g", "540.00"),
        ("Café orgánico de Copán, libra", "190.00"),
        ("Café honey process 340 g", "210.00"),
        ("Prensa francesa 600 ml", "685.00"),
        ("Cafetera de calcetín", "90.00"),
        ("Molino manual de café", "890.00"),
        ("Taza esmaltada", "120.00"),
        ("Filtros V60, 100 unidades", "155.00"),
        ("Chocolate de mesa 250 g", "85.00"),
        ("Semitas de yema, media docena", "60.00"),
        ("Suscripción mensual, 2 libras", "330.00"),
        ("Cacao en grano 500 g", "140.00"),
        has_server=True,
    ),
    _shop(
        (3, "c16af226-04c6-42fa-bf3c-81f37976ccc8", "artesanias-lenca", "Artesanías Lenca"),
        ("Jarrón de barro negro lenca", "480.00"),
        ("Hamaca matrimonial de algodón", "1450.00"),
        ("Collar de semillas", "95.00"),
        ("Bolso de tela lenca", "390.00"),
        ("Máscara guancasco tallada", "760.00"),
        ("Juego de tazas de barro", "520.00"),
        ("Camino de mesa bordado", "340.00"),
        ("Canasta de pino trenzado", "280.00"),
        ("Sombrero de junco de Santa Bárbara", "650.00"),
        ("Pulsera de hilo", "35.00"),
        ("Réplica de estela de Copán", "890.00"),
        ("Cofre de caoba tallado", "1850.00"),
        ("Aretes de jade", "420.00"),
        ("Imán de barro", "25.00"),
        ("Tapiz de lana de La Esperanza", "1280.00"),
        ("Petate de tule", "210.00"),
        ("Portarretrato de madera", "175.00"),
        ("Ocarina de barro", "90.00"),
    ),
    _shop(
        (4, "f6c5f573-b19b-456c-8fe1-7c99a0713260", "moda-catracha", "Moda Catracha"),
        ("Camiseta de la Bicolor", "450.00"),
        ("Guayabera de lino", "780.00"),
        ("Vestido floreado", "690.00"),
        ("Jeans de corte recto", "640.00"),
        ("Blusa bordada", "380.00"),
        ("Falda larga", "420.00"),
        ("Tenis blancos", "950.00"),
        ("Gorra Cinco Estrellas", "220.00"),
        ("Sandalias de cuero", "560.00"),
        ("Camisa de manga corta", "395.00"),
        ("Short de playa", "310.00"),
        ("Faja de cuero", "240.00"),
        ("Pijama de algodón", "360.00"),
        ("Calcetines, tres pares", "110.00"),
        ("Chaqueta impermeable", "1150.00"),
        ("Vestido de quinceañera", "4800.00"),
        ("Traje de baño", "520.00"),
        ("Mochila escolar", "590.00"),
        ("Pañuelo de seda", "180.00"),
        ("Lentes de sol", "290.00"),
    ),
    _shop(
        (5, "17920a8b-0484-4618-9f35-3c629f7001c1", "ferreteria-el-roble", "Ferretería El Roble"),
        ("Machete de 22 pulgadas", "165.00"),
        ("Cubeta de pintura blanca 5 gal", "2350.00"),
        ("Bombillo LED 12 W", "58.00"),
        ("Taladro percutor 650 W", "1490.00"),
        ("Martillo de uña", "195.00"),
        ("Cinta métrica 5 m", "95.00"),
        ("Manguera de jardín 15 m", "420.00"),
        ("Llave ajustable 10 pulgadas", "260.00"),
        ("Candado de 50 mm", "175.00"),
        ("Lámina de zinc 12 pies", "395.00"),
        ("Carretilla de 5 pies cúbicos", "1680.00"),
        ("Tubo PVC de media pulgada", "72.00"),
        ("Extensión eléctrica 10 m", "310.00"),
        ("Brocha de 3 pulgadas", "65.00"),
        ("Bomba de agua de medio caballo", "2890.00"),
    ),
    _shop(
        (6, "ebd9622b-65e4-48fa-85ac-85e4a8fa01d7", "dona-rosa", "Repostería Doña Rosa"),
        ("Pastel tres leches, mediano", "480.00"),
        ("Baleadas sencillas, seis", "150.00"),
        ("Torta de chocolate", "520.00"),
        ("Rosquillas en miel", "70.00"),
        ("Pan de coco, bolsa", "60.00"),
        ("Nacatamales, media docena", "210.00"),
        ("Torrejas, porción", "65.00"),
        ("Arroz con leche, litro", "95.00"),
        ("Cupcakes, docena", "300.00"),
        ("Pastel de cumpleaños personalizado", "950.00"),
        ("Galletas de mantequilla, lata", "185.00"),
        ("Flan de coco", "240.00"),
        ("Quesadilla hondureña", "130.00"),
    ),
    _shop(
        (7, "185dfb05-2bf9-4eb3-9533-c748af297818", "zapateria-el-paso", "Zapatería El Paso"),
        ("Botas vaqueras", "1950.00"),
        ("Zapatos escolares negros", "720.00"),
        ("Mocasines de cuero", "980.00"),
        ("Tacones de fiesta", "860.00"),
        ("Botas de hule", "340.00"),
        ("Zapatillas de niña", "410.00"),
        ("Burros de trabajo", "1240.00"),
        ("Chinelas", "120.00"),
        ("Tenis de fútbol sala", "890.00"),
        ("Plantillas de gel", "150.00"),
        ("Betún negro", "45.00"),
        ("Cordones, dos pares", "30.00"),
        status="inactive",
    ),
    _shop(
        (8, "a4f35d0c-7f0b-4f0e-9a51-0c5d3c1b7e62", "buceo-roatan", "Buceo Roatán"),
        ("Discover scuba dive", "110.00"),
        ("Two-tank reef dive", "95.00"),
        ("Open water course", "425.00"),
        ("Snorkel tour of West Bay", "45.00"),
        ("Night dive", "60.00"),
        ("Advanced open water course", "375.00"),
        ("Rash guard", "38.00"),
        ("Mask and snorkel", "52.00"),
        ("Ten-dive package", "390.00"),
        ("Dry bag 20 l", "24.00"),
        ("Reef-safe sunscreen", "16.00"),
        ("Cap with the reef map", "19.00"),
        language="en",
        currency="USD",
    ),
    _shop(
        (9, "5be1fa38-9d0e-4b1c-8d4b-2f0f3f6a9c17", "libreria-morazan", "Librería Morazán"),
        ("Prisión verde, Ramón Amaya Amador", "240.00"),
        ("Cuaderno cosido, 200 páginas", "48.00"),
        ("Caja de colores, 24 unidades", "125.00"),
        ("Mapa de Honduras plastificado", "90.00"),
        ("Mochila con rodos", "860.00"),
        ("Diccionario escolar", "175.00"),
        ("Cuentos de la selva lenca", "210.00"),
        ("Resma de papel carta", "135.00"),
        ("Calculadora científica", "520.00"),
        ("Estuche de geometría", "85.00"),
        ("Lápices, caja de doce", "60.00"),
        ("Agenda del año", "160.00"),
        quiet_days=9,
    ),
    _shop(
        (10, "c8d0e7b1-3a52-4c8e-b6c4-91e25a7f4d03", "bordados-zoila", "Bordados Zoila"),
        ("Blusa bordada a mano", "540.00"),
        ("Servilletas bordadas, seis", "190.00"),
        ("Mantel bordado", "1150.00"),
        is_new=True,
    ),
)
