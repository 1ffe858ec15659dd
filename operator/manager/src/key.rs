//! The kinds that are reconciled.

/// A kind of custom resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Platform.
    Platform,
    /// Storefront.
    Storefront,
    /// CatalogService.
    CatalogService,
    /// OrderService.
    OrderService,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 4] = [
        Self::Platform,
        Self::Storefront,
        Self::CatalogService,
        Self::OrderService,
    ];

    /// The name in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Platform => "Platform",
            Self::Storefront => "Storefront",
            Self::CatalogService => "CatalogService",
            Self::OrderService => "OrderService",
        }
    }

    /// The name of its controller and queue in metrics.
    pub const fn controller(self) -> &'static str {
        match self {
            Self::Platform => "platform",
            Self::Storefront => "storefront",
            Self::CatalogService => "catalogservice",
            Self::OrderService => "orderservice",
        }
    }

    /// The kind with that name in the API.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}
