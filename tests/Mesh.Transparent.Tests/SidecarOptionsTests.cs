using System.Net;
using Mesh.Hosting;
using Mesh.Testing;
using Mesh.Transparent.Admin;
using Microsoft.Extensions.Logging;
using Xunit;

namespace Mesh.Transparent.Tests;

public sealed class SidecarOptionsTests : IDisposable
{
    private readonly string _file = Path.GetTempFileName();

    public SidecarOptionsTests()
    {
        using var ca = new TestCa("cluster.local");
        File.WriteAllText(_file, ca.RootPem);
    }

    public void Dispose() => File.Delete(_file);

    [Fact]
    public void Read_OnlyWhatIsNeeded_GivesTheDefaults()
    {
        var settings = Read();

        var options = settings.Options;
        Assert.Contains(new IPEndPoint(IPAddress.Loopback, 4140), options.OutboundListen);
        Assert.All(options.OutboundListen, e => Assert.True(IPAddress.IsLoopback(e.Address)));
        Assert.Equal(4143, Assert.Single(options.InboundListen).Port);
        Assert.Equal(4191, Assert.Single(options.AdminListen).Port);
        Assert.Null(options.InstanceIps);
        Assert.Empty(options.InboundPorts);
        Assert.Equal([25, 587, 3306, 4444, 5432, 6379, 9300, 11211], options.OpaquePorts);
        Assert.Empty(options.SkipInboundPorts);
        Assert.Equal(EgressMode.Allow, options.Egress);
        Assert.Equal(MeshAccessLog.Off, options.AccessLog);
        Assert.Equal(TimeSpan.FromMinutes(2), options.DrainTimeout);
        Assert.Equal("warning,Mesh=information", options.LogLevel.ToString());
        Assert.Equal(LogFormat.Plain, options.LogFormat);
        Assert.Empty(settings.Warnings);
    }

    [Fact]
    public void Read_OwnSettings_AreTaken()
    {
        var options = Read(
            ("MESH_OUTBOUND_LISTEN", "127.0.0.2:5140"), ("MESH_INBOUND_LISTEN", "0.0.0.0:0, [::]:5143"), ("MESH_ADMIN_LISTEN", "[::1]:0"), ("MESH_INSTANCE_IPS", "10.1.2.3,fd00::3"),
            ("MESH_INBOUND_PORTS", "8080,9000-9002,9001"), ("MESH_OPAQUE_PORTS", "none"), ("MESH_SKIP_INBOUND_PORTS", "22"), ("MESH_EGRESS", "deny"), ("MESH_ACCESS_LOG", "Apache"),
            ("MESH_DRAIN_TIMEOUT", "90s"), ("MESH_LOG_LEVEL", "error,Mesh.Xds=debug"), ("MESH_LOG_FORMAT", "json")).Options;

        Assert.Equal([new IPEndPoint(IPAddress.Parse("127.0.0.2"), 5140)], options.OutboundListen);
        Assert.Equal([new IPEndPoint(IPAddress.Any, 0), new IPEndPoint(IPAddress.IPv6Any, 5143)], options.InboundListen);
        Assert.Equal([new IPEndPoint(IPAddress.IPv6Loopback, 0)], options.AdminListen);
        Assert.Equal([IPAddress.Parse("10.1.2.3"), IPAddress.Parse("fd00::3")], options.InstanceIps);
        Assert.Equal([8080, 9000, 9001, 9002], options.InboundPorts);
        Assert.Empty(options.OpaquePorts);
        Assert.True(options.SkipInboundPorts.Contains(22) && !options.SkipInboundPorts.Contains(23));
        Assert.Equal(EgressMode.Deny, options.Egress);
        Assert.Equal(MeshAccessLog.Apache, options.AccessLog);
        Assert.Equal(TimeSpan.FromSeconds(90), options.DrainTimeout);
        Assert.Equal(LogLevel.Error, options.LogLevel.Level);
        Assert.Equal([new("Mesh.Xds", LogLevel.Debug)], options.LogLevel.Rules);
        Assert.Equal(LogFormat.Json, options.LogFormat);
    }

    [Fact]
    public void Read_SharedSettings_ReachMeshOptions()
    {
        var settings = Read(
            ("MESH_NAMESPACE", "shop"), ("MESH_SERVICE_ACCOUNT", "catalog"), ("MESH_WORKLOAD", "catalog-v2"), ("MESH_ZONE", "zone-a"), ("MESH_ADS_VARIANT", "StateOfTheWorld"),
            ("MESH_TELEMETRY_INTERVAL", "2m"), ("MESH_SERVER__PROBE_PATHS", "/up,/ok"), ("MESH_SERVER__TRUSTED_PROXIES__0", "10.0.0.0/8"), ("MESH_SERVER__TRUSTED_PROXIES__1", "fd00::/8"),
            ("MESH_SERVER__UNLISTED_ACCESS", "allow-authenticated"), ("MESH_SERVER__QUEUE_TIMEOUT", "250ms"), ("MESH_SERVICES__PRICE-API__ATTEMPT_TIMEOUT", "3s"), ("MESH_JWKS__ALLOW_HTTP", "true"));

        var options = new MeshOptions();
        new MeshOptionsSetup(settings.Configuration).Configure(options);
        Assert.Equal("https://127.0.0.1:15012", options.ControlPlane);
        Assert.Equal(_file, options.TrustBundle);
        Assert.Equal(_file, options.TokenFile);
        Assert.Equal(("shop", "catalog", "catalog-v2", "zone-a"), (options.Namespace, options.ServiceAccount, options.Workload, options.Zone));
        Assert.Equal(AdsVariant.StateOfTheWorld, options.AdsVariant);
        Assert.Equal(TimeSpan.FromMinutes(2), options.TelemetryInterval);
        Assert.Equal(["/up", "/ok"], options.Server.ProbePaths);
        Assert.Equal(["10.0.0.0/8", "fd00::/8"], options.Server.TrustedProxies);
        Assert.Equal(UnlistedAccess.AllowAuthenticated, options.Server.UnlistedAccess);
        Assert.Equal(TimeSpan.FromMilliseconds(250), options.Server.QueueTimeout);
        Assert.Equal(TimeSpan.FromSeconds(3), options.Services["price-api"].AttemptTimeout);
        Assert.True(options.Jwks.AllowHttp);
        Assert.Empty(settings.Warnings);
    }

    [Fact]
    public void Shared_EverySettingOfMeshOptionsButClients_IsKnown()
    {
        // A setting that the libraries gain must be one of the proxy, too. Its access log is MESH_ACCESS_LOG, its metrics are on its admin port.
        var expected = Paths(typeof(MeshOptions), string.Empty).Where(p => p is not ("Clients" or "Services" or "Server:AccessLog" or "MetricsListen")).Order(StringComparer.Ordinal);
        Assert.Equal(expected, SettingNames.Shared.Order(StringComparer.Ordinal));

        static IEnumerable<string> Paths(Type type, string under) => type.GetProperties().SelectMany(p =>
            p.PropertyType == typeof(MeshServerOptions) || p.PropertyType == typeof(MeshJwksOptions) || p.PropertyType == typeof(MeshTracesOptions) ? Paths(p.PropertyType, p.Name + ":") : [under + p.Name]);
    }

    [Fact]
    public void Docs_NameEverySetting()
    {
        var root = new DirectoryInfo(AppContext.BaseDirectory);
        while (root is not null && !File.Exists(Path.Combine(root.FullName, "Mesh.Lib.sln")))
        {
            root = root.Parent;
        }

        var docs = File.ReadAllText(Path.Combine(root!.FullName, "docs", "sidecar.md"));
        Assert.All(SettingNames.Own.Concat(SettingNames.Shared.Select(SettingNames.Of)), name => Assert.Contains($"`{name}`", docs, StringComparison.Ordinal));
    }

    [Fact]
    public void Read_NothingSet_SaysWhatIsNeeded()
    {
        var e = Assert.Throws<MeshConfigurationException>(() => SidecarOptionsReader.Read([]));
        var problem = Assert.Single(e.Problems);
        Assert.Contains("MESH_CONTROL_PLANE", problem, StringComparison.Ordinal);
        Assert.Contains("MESH_TRUST_BUNDLE", problem, StringComparison.Ordinal);
        Assert.Contains("MESH_TOKEN_FILE", problem, StringComparison.Ordinal);
    }

    [Fact]
    public void Read_HalfAConfigurationAndNonsense_SaysAllOfItAtOnce()
    {
        var e = Assert.Throws<MeshConfigurationException>(() => SidecarOptionsReader.Read(Environment(
            ("MESH_CONTROL_PLANE", "http://nonsense"), ("MESH_OPAQUE_PORTS", "25,70000"), ("MESH_EGRESS", "maybe"), ("MESH_DRAIN_TIMEOUT", "120"), ("MESH_LOG_LEVEL", "loud"),
            ("MESH_TELEMETRY_INTERVAL", "5"), ("MESH_ADS_VARIANT", "2"), ("MESH_SERVER__MAX_CONCURRENT_REQUESTS", "many"), ("MESH_ADMIN_LISTEN", "localhost:4191"))));

        foreach (var expected in new[]
        {
            "MESH_CONTROL_PLANE", "MESH_TRUST_BUNDLE is not set", "MESH_TOKEN_FILE", "MESH_OPAQUE_PORTS holds '70000'", "MESH_EGRESS is 'maybe'. Use allow or deny.", "MESH_DRAIN_TIMEOUT is '120'",
            "MESH_LOG_LEVEL: 'loud'", "MESH_TELEMETRY_INTERVAL is '5'", "MESH_ADS_VARIANT is '2'", "MESH_SERVER__MAX_CONCURRENT_REQUESTS is 'many'", "MESH_ADMIN_LISTEN holds 'localhost:4191'",
        })
        {
            Assert.Contains(expected, e.Message, StringComparison.Ordinal);
        }

        Assert.All(e.Problems, p => Assert.DoesNotContain("Mesh:", p, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("MESH_INBOUND_LISTEN", "4143")]
    [InlineData("MESH_INBOUND_LISTEN", "127.0.0.1")]
    [InlineData("MESH_INBOUND_LISTEN", "::1:4143")]
    [InlineData("MESH_INBOUND_LISTEN", "127.1:4143")]
    [InlineData("MESH_INBOUND_LISTEN", "127.0.0.1:65536")]
    [InlineData("MESH_INBOUND_LISTEN", "127.0.0.1:1,127.0.0.1:1")]
    [InlineData("MESH_INBOUND_LISTEN", ",")]
    [InlineData("MESH_INBOUND_LISTEN", "0.0.0.0:4191")]
    [InlineData("MESH_INSTANCE_IPS", "10.1")]
    [InlineData("MESH_INSTANCE_IPS", "0.0.0.0")]
    [InlineData("MESH_INSTANCE_IPS", "web")]
    [InlineData("MESH_INBOUND_PORTS", "0")]
    [InlineData("MESH_INBOUND_PORTS", "9-8")]
    [InlineData("MESH_INBOUND_PORTS", "-1")]
    [InlineData("MESH_INBOUND_PORTS", "1-1000")]
    [InlineData("MESH_DRAIN_TIMEOUT", "25h")]
    [InlineData("MESH_DRAIN_TIMEOUT", "-1s")]
    [InlineData("MESH_DRAIN_TIMEOUT", "1e9s")]
    [InlineData("MESH_DRAIN_TIMEOUT", "2 weeks")]
    [InlineData("MESH_ACCESS_LOG", "1")]
    [InlineData("MESH_LOG_LEVEL", "warning,error")]
    [InlineData("MESH_LOG_LEVEL", "warning,Mesh Xds=debug")]
    [InlineData("MESH_LOG_LEVEL", "warning,Mesh=debug,mesh=error")]
    [InlineData("MESH_LOG_LEVEL", "4")]
    [InlineData("MESH_LOG_FORMAT", "xml")]
    public void Read_OneWrongValue_IsTheOneProblem(string name, string value)
    {
        var e = Assert.Throws<MeshConfigurationException>(() => Read((name, value)));
        Assert.StartsWith(name, e.Problems[0], StringComparison.Ordinal);
        Assert.All(e.Problems, p => Assert.StartsWith(name, p, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("120s", 120)]
    [InlineData("2m", 120)]
    [InlineData("00:02:00", 120)]
    [InlineData("1.5h", 5400)]
    [InlineData("250ms", 0.25)]
    [InlineData("0s", 0)]
    public void TryReadTime_EveryForm_IsRead(string text, double seconds)
    {
        Assert.True(SidecarOptionsReader.TryReadTime(text, out var time));
        Assert.Equal(TimeSpan.FromSeconds(seconds), time);
    }

    [Fact]
    public void Read_UnknownName_IsWarnedAboutWithWhatWasMeant()
    {
        var settings = Read(("MESH_OPAQUE_PORT", "25"), ("MESH_SERVER", "https://cp"), ("MESH_FROBNICATION_LIMIT", "1"), ("MESH_CLIENTS__A__TIMEOUT", "1s"));

        Assert.Contains(settings.Warnings, w => w.Contains("MESH_OPAQUE_PORT ", StringComparison.Ordinal) && w.Contains("Is MESH_OPAQUE_PORTS meant?", StringComparison.Ordinal));
        Assert.Contains(settings.Warnings, w => w.StartsWith("MESH_FROBNICATION_LIMIT", StringComparison.Ordinal));
        Assert.Equal(4, settings.Warnings.Count);
    }

    [Fact]
    public void Read_NamesOfTestsKubernetesAndOthers_AreNobodysSetting() => Assert.Empty(Read(
        ("MESH_TEST_PORT", "1"), ("PATH", "/bin"), ("MESH_ZONE", ""), ("MESH_CONTROL_PLANE_SERVICE_HOST", "10.0.0.1"), ("MESH_CONTROL_PLANE_SERVICE_PORT", "15012"),
        ("MESH_CONTROL_PLANE_SERVICE_PORT_GRPC", "15012"), ("MESH_CONTROL_PLANE_PORT", "tcp://10.0.0.1:15012"), ("MESH_CONTROL_PLANE_PORT_15012_TCP", "tcp://10.0.0.1:15012"),
        ("MESH_CONTROL_PLANE_PORT_15012_TCP_PROTO", "tcp"), ("MESH_CONTROL_PLANE_PORT_15012_TCP_ADDR", "10.0.0.1")).Warnings);

    [Fact]
    public void Read_ListenerThatOpensTheIdentityToOthers_IsWarnedAbout() =>
        Assert.Contains("MESH_OUTBOUND_LISTEN", Assert.Single(Read(("MESH_OUTBOUND_LISTEN", "0.0.0.0:4140")).Warnings), StringComparison.Ordinal);

    [Fact]
    public void Read_WorkloadApiOfTheEnvironment_IsASourceOfCertificates()
    {
        var settings = SidecarOptionsReader.Read([new("MESH_CONTROL_PLANE", "https://127.0.0.1:15012"), new("SPIFFE_ENDPOINT_SOCKET", "unix:///run/agent.sock")]);
        var options = new MeshOptions();
        new MeshOptionsSetup(settings.Configuration).Configure(options);
        Assert.Equal("unix:///run/agent.sock", options.WorkloadApi);
    }

    [Fact]
    public void Filters_Written_AreReadTheSame()
    {
        Assert.True(LogFilters.TryParse(" Warn , Mesh.Xds = DEBUG,Grpc=off ", out var filters, out _));
        Assert.Equal("warning,Mesh.Xds=debug,Grpc=off", filters.ToString());
    }

    private SidecarSettings Read(params (string, string)[] more) => SidecarOptionsReader.Read(Environment(
        [("MESH_CONTROL_PLANE", "https://127.0.0.1:15012"), ("MESH_TRUST_BUNDLE", _file), ("MESH_TOKEN_FILE", _file), .. more]));

    private static IEnumerable<KeyValuePair<string, string?>> Environment(params (string Name, string Value)[] all) => all.Select(e => new KeyValuePair<string, string?>(e.Name, e.Value));
}
