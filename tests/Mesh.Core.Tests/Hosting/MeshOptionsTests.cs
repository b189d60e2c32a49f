using Mesh.Hosting;
using Mesh.Testing;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using Xunit;

namespace Mesh.Core.Tests.Hosting;

public sealed class MeshOptionsTests : IDisposable
{
    private readonly TestCa _ca = new("cluster.local");
    private readonly string _bundle = Path.GetTempFileName();

    public MeshOptionsTests() => File.WriteAllText(_bundle, _ca.RootPem);

    public void Dispose()
    {
        File.Delete(_bundle);
        _ca.Dispose();
    }

    [Fact]
    public void Options_NothingSet_IsOffAndValid()
    {
        Assert.False(MeshActivation.From(Read()).IsOn);
        Assert.False(MeshActivation.From(Read(("Mesh:Namespace", "shop"), ("Mesh:TelemetryInterval", "1.00:00:00"))).IsOn);
    }

    [Fact]
    public void Options_AllSet_AreRead()
    {
        var options = Read(
            ("Mesh:ControlPlane", "127.0.0.1:15012"), ("Mesh:TrustBundle", _bundle), ("Mesh:Token", "t"), ("Mesh:Namespace", "shop"), ("Mesh:ServiceAccount", "cart"),
            ("Mesh:Workload", "cart-v2"), ("Mesh:Region", "eu"), ("Mesh:Zone", "eu-a"), ("Mesh:TrustDomain", "mesh.example"), ("Mesh:ClusterDomain", "c.local"), ("Mesh:AdsVariant", "stateoftheworld"),
            ("Mesh:TelemetryInterval", "00:00:02"), ("Mesh:Server:ProbePaths:0", "/up"), ("Mesh:Server:ExcludedPorts", "9090, 9091"),
            ("Mesh:Server:MaxConcurrentRequests", "200"), ("Mesh:Server:MaxQueuedRequests", "0"), ("Mesh:Server:QueueTimeout", "00:00:00.5"),
            ("Mesh:Server:TrustedProxies", "10.0.0.0/8, 192.168.1.7"), ("Mesh:Server:AmbiguousPaths", "normalize"), ("Mesh:Jwks:AllowHttp", "true"), ("Mesh:Jwks:AllowedNetworks:0", "10.96.0.0/12"));

        Assert.True(MeshActivation.From(options).IsOn);
        Assert.Equal(("shop", "cart", "cart-v2", "mesh.example", "c.local"), (options.Namespace, options.ServiceAccount, options.Workload, options.TrustDomain, options.ClusterDomain));
        Assert.Equal((AdsVariant.StateOfTheWorld, TimeSpan.FromSeconds(2)), (options.AdsVariant, options.TelemetryInterval));
        Assert.Equal(["/up"], options.Server.ProbePaths);
        Assert.Equal([9090, 9091], options.Server.ExcludedPorts);
        Assert.Equal((200, 0, TimeSpan.FromMilliseconds(500)), (options.Server.MaxConcurrentRequests, options.Server.MaxQueuedRequests, options.Server.QueueTimeout));
        Assert.Equal(["10.0.0.0/8", "192.168.1.7"], options.Server.TrustedProxies);
        Assert.Equal((MeshAmbiguousRequests.Normalize, true), (options.Server.AmbiguousPaths, options.Jwks.AllowHttp));
        Assert.Equal(["10.96.0.0/12"], options.Jwks.AllowedNetworks);
        var node = LocalNode.From(options);
        Assert.Equal(new Mesh.Config.Locality("eu", "eu-a", ""), node.Locality);
        Assert.Null(LocalNode.From(new MeshOptions()).Locality);
        Assert.StartsWith("cart-v2~", node.Id, StringComparison.Ordinal);
        Assert.EndsWith("~shop", node.Id, StringComparison.Ordinal);
        Assert.Contains("127.0.0.1", node.InstanceIps);
        Assert.Equal(node.InstanceIps.Count, node.InstanceIps.Distinct().Count());
    }

    [Theory]
    [InlineData("Mesh:ControlPlane", "http://127.0.0.1:15012", "Mesh:ControlPlane is 'http://127.0.0.1:15012'")]
    [InlineData("Mesh:ControlPlane", "https://127.0.0.1:15012/path", "without a path")]
    [InlineData("Mesh:ControlPlane", "", "Mesh:ControlPlane is not set")]
    [InlineData("Mesh:TrustBundle", "/nowhere/root.pem", "'/nowhere/root.pem' cannot be read")]
    [InlineData("Mesh:TokenFile", "/nowhere/token", "Keep one of them")]
    [InlineData("Mesh:Token", "", "Neither Mesh:Token nor Mesh:TokenFile")]
    [InlineData("Mesh:TrustDomain", "Not A Domain", "Mesh:TrustDomain")]
    [InlineData("Mesh:Namespace", "a/b", "Mesh:Namespace is 'a/b'")]
    [InlineData("Mesh:ServiceAccount", "ä", "Mesh:ServiceAccount is 'ä'")]
    [InlineData("Mesh:Workload", "a~b", "Mesh:Workload is 'a~b'")]
    [InlineData("Mesh:ClusterDomain", "a b", "Mesh:ClusterDomain is 'a b'")]
    [InlineData("Mesh:TelemetryInterval", "00:00:00.5", "Use 00:00:01 to 00:05:00")]
    [InlineData("Mesh:TelemetryInterval", "soon", "Mesh:TelemetryInterval is 'soon'")]
    [InlineData("Mesh:AdsVariant", "7", "Mesh:AdsVariant is '7'")]
    [InlineData("Mesh:Server:ProbePaths", "healthz", "Start every path with '/'")]
    [InlineData("Mesh:Server:ExcludedPorts", "99999", "holds 99999")]
    [InlineData("Mesh:Server:ExcludedPorts", "http", "holds 'http'")]
    [InlineData("Mesh:Server:MaxConcurrentRequests", "0", "Mesh:Server:MaxConcurrentRequests is 0")]
    [InlineData("Mesh:Server:MaxConcurrentRequests", "many", "Mesh:Server:MaxConcurrentRequests is 'many'")]
    [InlineData("Mesh:Server:MaxQueuedRequests", "-1", "Mesh:Server:MaxQueuedRequests is -1")]
    [InlineData("Mesh:Server:QueueTimeout", "00:00:00", "Use more than zero")]
    [InlineData("Mesh:Server:QueueTimeout", "00:10:01", "at most 00:10:00")]
    [InlineData("Mesh:Server:QueueTimeout", "1s", "Mesh:Server:QueueTimeout is '1s'")]
    [InlineData("Mesh:Server:TrustedProxies", "ingress", "Mesh:Server:TrustedProxies holds 'ingress'")]
    [InlineData("Mesh:Server:AmbiguousPaths", "Merge", "Mesh:Server:AmbiguousPaths is 'Merge'")]
    [InlineData("Mesh:Jwks:AllowHttp", "yes", "Mesh:Jwks:AllowHttp is 'yes'. Use true or false.")]
    [InlineData("Mesh:Jwks:AllowedNetworks", "10.0.0.0/33", "Mesh:Jwks:AllowedNetworks holds '10.0.0.0/33'")]
    public void Options_OneIsWrong_IsTheOneProblem(string key, string value, string expected)
    {
        var e = Assert.Throws<MeshConfigurationException>(() => Read(("Mesh:ControlPlane", "https://127.0.0.1:15012"), ("Mesh:TrustBundle", _bundle), ("Mesh:Token", "t"), (key, value)));

        Assert.Contains(expected, Assert.Single(e.Problems), StringComparison.Ordinal);
        Assert.Contains(expected, e.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("Mesh:ControlPlaneName", "a b", "Mesh:ControlPlaneName is 'a b'")]
    [InlineData("Mesh:ClusterId", "a b", "Mesh:ClusterId is 'a b'")]
    [InlineData("Mesh:WorkloadApi", "unix:///run/agent.sock", "Mesh:Token, Mesh:WorkloadApi are set together")]
    public void Options_IdentitySettingIsWrong_IsTheOneProblem(string key, string value, string expected) => Options_OneIsWrong_IsTheOneProblem(key, value, expected);

    [Fact]
    public void Options_ThreeSourcesAndHalfOfOne_NamesEveryContradictionAtOnce()
    {
        var e = Assert.Throws<MeshConfigurationException>(() => Read(
            ("Mesh:ControlPlane", "https://127.0.0.1:15012"), ("Mesh:TrustBundle", _bundle), ("Mesh:Token", "t"), ("Mesh:CertificateFile", "/nowhere/tls.crt"),
            ("Mesh:WorkloadApi", "http://x"), ("Mesh:ControlPlaneName", "a b")));

        Assert.Equal(5, e.Problems.Count);
        Assert.Contains(e.Problems, p => p.StartsWith("Mesh:Token, Mesh:CertificateFile, Mesh:WorkloadApi are set together.", StringComparison.Ordinal));
        Assert.Contains(e.Problems, p => p.StartsWith("Mesh:KeyFile is not set.", StringComparison.Ordinal));
        Assert.Contains(e.Problems, p => p.StartsWith("Mesh:CertificateFile '/nowhere/tls.crt' does not exist.", StringComparison.Ordinal));
        Assert.Contains(e.Problems, p => p.StartsWith("Mesh:WorkloadApi: 'http://x'", StringComparison.Ordinal));
        Assert.Contains(e.Problems, p => p.StartsWith("Mesh:ControlPlaneName", StringComparison.Ordinal));
    }

    [Fact]
    public void Options_ClusterIdWithoutToken_IsRefused() => Assert.Contains(
        "Mesh:ClusterId is set, but no certificate is asked for with a token",
        Assert.Single(Assert.Throws<MeshConfigurationException>(() => Read(
            ("Mesh:ControlPlane", "https://127.0.0.1:15012"), ("Mesh:WorkloadApi", "unix:///run/agent.sock"), ("Mesh:ClusterId", "Kubernetes"))).Problems),
        StringComparison.Ordinal);

    [Fact]
    public void Options_OtherSources_NeedNoToken()
    {
        Assert.True(MeshActivation.From(Read(("Mesh:ControlPlane", "https://127.0.0.1:15012"), ("Mesh:WorkloadApi", "unix:///run/agent.sock"))).IsOn);
        Assert.True(MeshActivation.From(Read(
            ("Mesh:ControlPlane", "https://127.0.0.1:15012"), ("Mesh:TrustBundle", _bundle), ("Mesh:CertificateFile", _bundle), ("Mesh:KeyFile", _bundle))).IsOn);
    }

    [Fact]
    public void Options_SpiffeEndpointSocket_CountsOnlyWhereNothingElseIsSet()
    {
        const string socket = "unix:///run/agent.sock";
        Assert.Equal(socket, Read(("Mesh:ControlPlane", "https://127.0.0.1:15012"), ("SPIFFE_ENDPOINT_SOCKET", socket)).WorkloadApi);
        Assert.False(MeshActivation.From(Read(("SPIFFE_ENDPOINT_SOCKET", socket))).IsOn);
        Assert.Null(Read(("Mesh:ControlPlane", "https://127.0.0.1:15012"), ("Mesh:TrustBundle", _bundle), ("Mesh:Token", "t"), ("SPIFFE_ENDPOINT_SOCKET", socket)).WorkloadApi);
    }

    [Fact]
    public void Options_HalfOfIt_ListsAllThatIsMissing()
    {
        var e = Assert.Throws<MeshConfigurationException>(() => Read(("Mesh:Token", "t")));

        Assert.Equal(2, e.Problems.Count);
    }

    [Fact]
    public void Options_TrustBundleWithoutCertificates_IsRefused()
    {
        File.WriteAllText(_bundle, "nothing");

        var e = Assert.Throws<MeshConfigurationException>(() => Read(("Mesh:ControlPlane", "https://127.0.0.1:15012"), ("Mesh:TrustBundle", _bundle), ("Mesh:Token", "t")));

        Assert.Contains("holds no certificate", Assert.Single(e.Problems), StringComparison.Ordinal);
    }

    [Fact]
    public void AddMeshCore_Twice_RegistersOnce()
    {
        var services = new ServiceCollection();
        var count = services.AddMeshCore().Count;

        Assert.Equal(count, services.AddMeshCore().Count);
    }

    private static MeshOptions Read(params (string Key, string Value)[] settings)
    {
        var configuration = new ConfigurationBuilder();
        // Later ones win.
        configuration.AddInMemoryCollection(settings.GroupBy(s => s.Key).Select(g => KeyValuePair.Create(g.Key, (string?)g.Last().Value)));
        var services = new ServiceCollection().AddSingleton<IConfiguration>(configuration.Build()).AddMeshCore();
        using var provider = services.BuildServiceProvider();
        return provider.GetRequiredService<IOptions<MeshOptions>>().Value;
    }
}
