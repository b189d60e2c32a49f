using System.Text.RegularExpressions;

namespace Shop.Tests;

public sealed class ManifestsTests
{
    private static readonly string _templates = Path.Combine(AppContext.BaseDirectory, "mesh");

    [Fact]
    public void Templates_Filled_HaveNoPlaceholderLeftAndEachPortOnce()
    {
        var ports = Replica.All.Select((replica, index) => (replica.Name, Port: 20_001 + index)).ToDictionary(pair => pair.Name, pair => pair.Port);
        var target = Directory.CreateTempSubdirectory("shop-tests-");
        try
        {
            Manifests.CopyAll(_templates, target.FullName, ports);

            var all = string.Join('\n', target.GetFiles("*.yaml").Select(file => File.ReadAllText(file.FullName)));
            Assert.DoesNotContain("${", all, StringComparison.Ordinal);
            Assert.All(ports, pair => Assert.Single(Regex.Matches(all, $@"port: {pair.Value}\b")));
            Assert.All(Replica.All, replica => Assert.Contains($"meshlib.io/service-account: {replica.Workload}\n", all, StringComparison.Ordinal));
        }
        finally
        {
            target.Delete(recursive: true);
        }
    }

    [Fact]
    public void Templates_Filled_KeepTheirLines()
    {
        var ports = Replica.All.ToDictionary(replica => replica.Name, _ => 20_001);
        var target = Directory.CreateTempSubdirectory("shop-tests-");
        try
        {
            Manifests.CopyAll(_templates, target.FullName, ports);

            Assert.All(Directory.GetFiles(_templates, "*.yaml"), file =>
            {
                var (template, copy) = (File.ReadAllLines(file), File.ReadAllLines(Path.Combine(target.FullName, Path.GetFileName(file))));
                Assert.Equal(template.Length, copy.Length);
                Assert.All(template.Zip(copy), pair => Assert.True(
                    pair.First.StartsWith('#') ? pair.Second == "#" : pair.First.Contains("${", StringComparison.Ordinal) || pair.First == pair.Second, pair.Second));
            });
        }
        finally
        {
            target.Delete(recursive: true);
        }
    }

    [Fact]
    public void Policies_EveryServiceThatIsCalled_LetsInTheStorefrontAlone()
    {
        var documents = File.ReadAllText(Path.Combine(_templates, "policies.yaml")).Split("\n---\n");

        var rules = documents.Where(document => document.Contains("kind: AuthorizationPolicy", StringComparison.Ordinal)).ToList();
        var called = Replica.All.Select(replica => replica.Workload).Distinct().Where(workload => workload != "storefront");
        Assert.All(called, workload => Assert.Single(rules, rule => Regex.IsMatch(rule, $@"kind: Service\n    name: {workload}\n")));
        Assert.All(rules, rule => Assert.Equal("storefront", Assert.Single(Regex.Matches(rule, @"serviceAccounts: \[(.+)\]")).Groups[1].Value));
    }

    [Fact]
    public void Fill_UnknownReplica_NamesFileAndPlaceholder()
    {
        var error = Assert.Throws<ShopException>(() => Manifests.Fill("port: ${cart-9}", "cart.yaml", new Dictionary<string, int> { ["cart-1"] = 1 }));

        Assert.Contains("cart.yaml", error.Message, StringComparison.Ordinal);
        Assert.Contains("${cart-9}", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void SetWeight_OfOneBackend_ChangesItAlone()
    {
        var yaml = File.ReadAllText(Path.Combine(_templates, "pricing.yaml"));

        var shifted = Manifests.SetWeight(Manifests.SetWeight(yaml, "pricing-v1", 50), "pricing-v2", 51);

        Assert.Equal(["50", "51"], Regex.Matches(shifted, @"weight: (\d+)").Select(match => match.Groups[1].Value));
        Assert.Equal(yaml.Length, shifted.Length);
    }

    [Fact]
    public void SetWeight_NoSuchBackend_SaysSo() =>
        Assert.Contains("pricing-v3", Assert.Throws<ShopException>(() => Manifests.SetWeight("rules: []", "pricing-v3", 1)).Message, StringComparison.Ordinal);
}
