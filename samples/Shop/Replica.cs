namespace Shop;

/// <summary>One process of the shop.</summary>
/// <param name="Name">Unique: <c>catalog-2</c>. The placeholder of its port in the manifests.</param>
/// <param name="Workload">What it is called in metrics; also its service account.</param>
/// <param name="Project">Its folder under <c>services/</c>.</param>
internal sealed record Replica(string Name, string Workload, string Project)
{
    /// <summary>Every meshed process, first those that others call.</summary>
    public static IReadOnlyList<Replica> All { get; } =
    [
        new("catalog-1", "catalog", "Catalog"),
        new("catalog-2", "catalog", "Catalog"),
        new("catalog-3", "catalog", "Catalog"),
        new("cart-1", "cart", "Cart"),
        new("cart-2", "cart", "Cart"),
        new("pricing-v1-1", "pricing-v1", "Pricing"),
        new("pricing-v2-1", "pricing-v2", "Pricing"),
        new("payments-1", "payments", "Payments"),
        new("payments-2", "payments", "Payments"),
        new("storefront-1", "storefront", "Storefront"),
    ];
}
