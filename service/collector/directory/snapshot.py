"""A snapshot of the directory: the public tenants, and the products of all tenants."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from etl.directory.entries import Tenant, WholeDirectory
from etl.directory.tenant_reference import Reference

ProductKey = tuple[int, int]
"""The ids of a tenant and of a product."""


@dataclass(frozen=True, slots=True)
class DirectorySnapshot:
    """Public tenants by each of their keys; product ids by tenant, sorted, 8 bytes per id."""

    by_id: Mapping[int, Tenant]
    by_uuid: Mapping[str, Tenant]
    by_slug: Mapping[str, Tenant]
    products: Mapping[int, array[int]]

    @classmethod
    def empty(cls) -> DirectorySnapshot:
        """Return a snapshot without tenants."""
        return cls({}, {}, {}, {})

    @classmethod
    def load(cls, directory: WholeDirectory) -> DirectorySnapshot:
        """Read the whole directory; call it in a thread. Raises DirectoryUnavailable."""
        public = [tenant for tenant in directory.tenants() if tenant.is_public]
        return cls(
            by_id={tenant.id: tenant for tenant in public},
            by_uuid={tenant.uuid: tenant for tenant in public if tenant.uuid},
            by_slug={tenant.slug: tenant for tenant in public if tenant.slug},
            products=_sorted_by_tenant(directory.product_keys()),
        )

    def tenant(self, key: Reference) -> Tenant | None:
        """Return the public tenant of a key."""
        if key[0] == "id":
            return self.by_id.get(key[1])
        return (self.by_uuid if key[0] == "uuid" else self.by_slug).get(key[1])

    def has_product(self, tenant_id: int, product_id: int) -> bool:
        """Return whether the tenant has the product."""
        ids = self.products.get(tenant_id)
        if ids is None:
            return False
        at = bisect_left(ids, product_id)
        return at < len(ids) and ids[at] == product_id


def _sorted_by_tenant(keys: Iterable[ProductKey]) -> dict[int, array[int]]:
    products: dict[int, array[int]] = {}
    for tenant_id, product_id in keys:
        products.setdefault(tenant_id, array("q")).append(product_id)
    return {tenant_id: array("q", sorted(ids)) for tenant_id, ids in products.items()}
