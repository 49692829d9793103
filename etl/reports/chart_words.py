"""The words of the charts in the languages of shops: titles of axes, and names of types and steps.

English needs no table: the names of columns and the slugs are its words.
"""

from __future__ import annotations

from collections.abc import Mapping

_TITLES: Mapping[str, Mapping[str, str]] = {
    "es": {
        "browser": "navegador",
        "bucket": "fecha",
        "campaign": "campaña",
        "cart_adds": "añadidos al carrito",
        "channel": "canal",
        "country": "país",
        "currency": "moneda",
        "device": "dispositivo",
        "events": "eventos",
        "hour": "hora",
        "name": "producto",
        "path": "página",
        "purchases": "compras",
        "source": "origen",
        "step": "paso",
        "tenant_id": "tienda",
        "type": "tipo",
        "utm_campaign": "campaña",
        "value": "valor",
        "views": "vistas",
        "visitors": "visitantes",
        "visits": "visitas",
        "weekday": "día",
    }
}
_VALUES: Mapping[str, Mapping[str, str]] = {
    "es": {
        "ai-assistant": "asistente de IA",
        "call": "llamada",
        "call_click": "clic en llamar",
        "cart": "carrito",
        "cart_add": "carrito",
        "contact": "contacto",
        "conversion": "conversión",
        "desktop": "computadora",
        "direct": "directo",
        "internal": "interno",
        "location_view": "ubicación",
        "mail": "correo",
        "maps_click": "mapa",
        "organic-search": "buscadores",
        "organic-social": "redes sociales",
        "paid-search": "buscadores, pagado",
        "paid-social": "redes sociales, pagado",
        "phone": "teléfono",
        "purchase": "compra",
        "referral": "otros sitios",
        "social_share": "compartido",
        "tablet": "tableta",
        "view": "vista",
        "whatsapp": "WhatsApp",
        "whatsapp_click": "WhatsApp",
    }
}
_UNKNOWN = {"en": "unknown", "es": "sin datos"}
_MAY_BE_UNKNOWN = frozenset({"browser", "channel", "country", "device"})
_TRANSLATED = frozenset({"channel", "device", "source", "step", "type"})
LANGUAGES = ("en", *_TITLES)


def title(field: str, language: str) -> str:
    """Return the title of a column."""
    return _TITLES.get(language, {}).get(field, field.replace("_", " "))


def value(field: str, text: object, language: str) -> object:
    """Return a value of a column as people read it; values that no table has stay as they are."""
    if text is None and field in _MAY_BE_UNKNOWN:
        return _UNKNOWN.get(language, _UNKNOWN["en"])
    if field not in _TRANSLATED or not isinstance(text, str):
        return text
    return _VALUES.get(language, {}).get(text, text)
