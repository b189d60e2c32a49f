namespace Mesh.Dashboard.Tests;

/// <summary>Every screen, by the name of its picture: its address, and what is on it when it is whole.</summary>
internal static class Screens
{
    public static readonly IReadOnlyDictionary<string, (string Hash, string Shows)> OfShop = new Dictionary<string, (string, string)>
    {
        ["now"] = ("#/now", "marked on every chart"),
        ["topology"] = ("#/topology", "wider: more calls"),
        ["topology-edge"] = ("#/topology?sel=shop%2Fstorefront%E2%86%92shop%2Fpayments", "of calls in mutual TLS"),
        ["topology-table"] = ("#/topology?as=table", "p99 called side"),
        ["service"] = ("#/service/shop/payments", "Who calls it"),
        ["canary"] = ("#/service/shop/pricing", "Wanted share"),
        ["tap"] = ("#/tap?run=1", "/authorizations/"),
        ["top"] = ("#/top", "/products/"),
        ["traces"] = ("#/traces", "GET /products/{id:int}"),
        ["security"] = ("#/security", "Every endpoint is in the mesh."),
        ["control-plane"] = ("#/control-plane", "data planes hold what is current."),
    };

    /// <summary>Of the mesh that is made up, with trouble of every kind.</summary>
    public static readonly IReadOnlyDictionary<string, (string Hash, string Shows)> All = new Dictionary<string, (string, string)>
    {
        ["now"] = ("#/now", "need attention"),
        ["topology"] = ("#/topology", "outside the mesh"),
        ["topology-edge"] = ("#/topology?sel=shop%2Fcart%E2%86%92shop%2Fpricing", "of calls in mutual TLS"),
        ["topology-table"] = ("#/topology?as=table", "p99 called side"),
        ["service"] = ("#/service/shop/pricing", "Who calls it"),
        ["tap"] = ("#/tap?run=1", "/items/"),
        ["top"] = ("#/top", "/items/{id}"),
        ["traces"] = ("#/traces", "POST /checkout"),
        ["trace"] = ("#/traces/4bf92f3577b34da6a3ce929d0e0e1280", "attempt 2"),
        ["security"] = ("#/security", "Denied"),
        ["control-plane"] = ("#/control-plane", "refused what was sent"),
    };
}
