using Xunit;

namespace Mesh.Outbound;

public sealed class ServiceNamesTests
{
    [Theory]
    [InlineData("http://catalog", true)]
    [InlineData("https://catalog", true)]
    [InlineData("https+http://catalog", true)]
    [InlineData("http://catalog.shop", true)]
    [InlineData("https+http://catalog.shop", true)]
    [InlineData("https://example.com", false)]
    [InlineData("http://catalog.shop.svc", true)]
    [InlineData("https://catalog.shop.svc.cluster.local:8080", true)]
    [InlineData("https://CATALOG.shop.SVC.cluster.LOCAL", true)]
    [InlineData("https://catalog.shop.svc.other.local", false)]
    [InlineData("http://catalogsvc.cluster.local", false)]
    [InlineData("http://www.example.com", false)]
    [InlineData("http://10.0.0.1", false)]
    [InlineData("http://[::1]", false)]
    [InlineData("http://localhost:5000", false)]
    [InlineData("http://app.localhost", false)]
    public void CanBeService_Hosts_AsTheContractSays(string uri, bool expected) =>
        Assert.Equal(expected, ServiceNames.CanBeService(new Uri(uri), "cluster.local"));

    [Theory]
    [InlineData("http://catalog", "catalog")]
    [InlineData("http://catalog:80", "catalog")]
    [InlineData("http://catalog:8080", "catalog:8080")]
    [InlineData("https://catalog:443", "catalog")]
    public void ListenerKey_Uri_AsksWithThePortOnlyWhenItIsNotTheSchemes(string uri, string name)
    {
        var key = ListenerKey.Of(new Uri(uri));
        Assert.Equal(name, key.Name);
        Assert.Equal(key, ListenerKey.Parse(name.ToUpperInvariant()));
    }

    [Theory]
    [InlineData("catalog.shop.svc.cluster.local:80", "catalog", "shop")]
    [InlineData("outbound|80||pricing-v1.shop.svc.cluster.local", "pricing-v1", "shop")]
    [InlineData("db-0.db.shop.svc.cluster.local:5432", "db", "shop")]
    [InlineData("catalog:80", "catalog", "")]
    [InlineData("api.example.com", "api.example.com", "")]
    public void Parse_CanonicalNames_ServiceAndNamespace(string name, string service, string ns) =>
        Assert.Equal((service, ns), ServiceNames.Parse(name));
}
