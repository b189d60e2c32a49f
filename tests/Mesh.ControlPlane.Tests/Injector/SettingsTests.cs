using System.Text.Json.Nodes;
using Mesh.ControlPlane.Injector;
using Mesh.ControlPlane.Sources;
using Xunit;

namespace Mesh.ControlPlane.Tests.Injector;

public class SettingsTests
{
    [Fact]
    public void Settings_AreThoseOfTheAnnotations() =>
        Assert.Equal(Annotations.SidecarSettings, SidecarSetting.All.Select(s => s.Name));

    [Theory]
    [InlineData("proxy-log-level", "logLevel")]
    [InlineData("skip-outbound-ports", "skipOutboundPorts")]
    [InlineData("egress", "egress")]
    [InlineData("proxy-ephemeral-storage-limit", "ephemeralStorageLimit")]
    public void ValueName_IsTheAnnotationsInCamelCase(string name, string value) => Assert.Equal(value, SidecarSetting.Find(name)!.ValueName);

    [Theory]
    [InlineData("10m", 0.01)]
    [InlineData("1", 1)]
    [InlineData("1.5", 1.5)]
    [InlineData("1e3", 1000)]
    [InlineData("64Mi", 67108864)]
    [InlineData("1G", 1e9)]
    public void Quantity_IsRead(string text, double amount)
    {
        Assert.True(Quantity.TryParse(text, out var read));
        Assert.Equal((decimal)amount, read);
    }

    [Theory]
    [InlineData("")]
    [InlineData("-1")]
    [InlineData("m")]
    [InlineData("1 Gi")]
    [InlineData("1gi")]
    [InlineData("1e99")]
    [InlineData("99999999999999999999Ti")]
    [InlineData("0x10")]
    [InlineData("1,5")]
    public void Quantity_Wrong_IsRefused(string text) => Assert.False(Quantity.TryParse(text, out _));

    [Theory]
    [InlineData("25, 8000-8010,25", "25,8000-8010")]
    [InlineData("None", "")]
    [InlineData("", "")]
    [InlineData("0", null)]
    [InlineData("9-1", null)]
    [InlineData("80,8O80", null)]
    [InlineData("1-65536", null)]
    public void Ports_AreReadOrRefusedWhole(string text, string? read) => Assert.Equal(read, SettingText.Ports(text));

    [Theory]
    [InlineData("10.1.2.3/8,192.0.2.1", "10.0.0.0/8,192.0.2.1")]
    [InlineData("fd00::1/8", "fd00::/8")]
    [InlineData("::/0", null)]
    [InlineData("10", null)]
    [InlineData("10.0.0.0/33", null)]
    [InlineData("fe80::1%eth0", null)]
    [InlineData("::ffff:10.0.0.1", null)]
    public void Subnets_AreReadOrRefusedWhole(string text, string? read) => Assert.Equal(read, SettingText.Subnets(text));

    [Theory]
    [InlineData("90s", 90)]
    [InlineData("2m", 120)]
    [InlineData("15", 15)]
    [InlineData("0s", 0)]
    [InlineData("25h", null)]
    [InlineData("1d", null)]
    [InlineData("-5s", null)]
    public void Time_IsRead(string text, int? seconds) => Assert.Equal(seconds, (int?)SettingText.Time(text)?.TotalSeconds);

    [Theory]
    [InlineData("0.05", "0.05")]
    [InlineData("5%", "0.05")]
    [InlineData("1", "1")]
    [InlineData("100%", "1")]
    [InlineData("0", "0")]
    [InlineData("5", null)]
    [InlineData("101%", null)]
    [InlineData("-0.1", null)]
    [InlineData("1e-1", null)]
    [InlineData("%", null)]
    [InlineData("off", null)]
    [InlineData("0,5", null)]
    public void Ratio_IsAShareOrAPercentage(string text, string? read) => Assert.Equal(read, SettingText.Ratio(text));

    [Theory]
    [InlineData("warning", true)]
    [InlineData("warning,Mesh.Xds=debug, Mesh=info", true)]
    [InlineData("Mesh=debug", true)]
    [InlineData("", false)]
    [InlineData("loud", false)]
    [InlineData("debug,error", false)]
    [InlineData("=debug", false)]
    [InlineData("a b=debug", false)]
    public void LogLevel_IsWhatTheSidecarTakes(string text, bool good)
    {
        Assert.Equal(good, SettingText.IsLogLevel(text));
    }

    [Theory]
    [InlineData("""[{"name": "MESH_TOKEN", "value": "x"}]""")]
    [InlineData("""[{"name": "MESH_EGRESS", "value": "allow"}]""")]
    [InlineData("""[{"name": "A"}]""")]
    [InlineData("""[{"name": "A", "value": "1", "valueFrom": {}}]""")]
    [InlineData("""[{"name": "1A", "value": "1"}]""")]
    [InlineData("""{"name": "A", "value": "1"}""")]
    [InlineData("""[{"name": "A", "name": "B", "value": "1"}]""")]
    [InlineData("not json")]
    public void AdditionalEnvironment_Wrong_IsRefused(string text) => Assert.Null(AdditionalEnvironment.Add(new SidecarSettings(), text));

    [Fact]
    public void Values_Wrong_AreAllNamed()
    {
        var problems = new List<string>();
        InjectionValues.Read((JsonObject)JsonNode.Parse("""{"version": 7, "proxy": {"logLevl": "debug", "egress": "shut", "skipInboundPorts": ["80", "x"]}, "somethingElse": {}}""")!, problems);

        Assert.Equal(4, problems.Count);
        Assert.Contains(problems, p => p == "version is '7'. Use a text.");
        Assert.Contains(problems, p => p == "proxy.logLevl is unknown. Did you mean 'proxy.logLevel'?");
        Assert.Contains(problems, p => p == "proxy.egress is 'shut'. Use allow or deny.");
        Assert.Contains(problems, p => p.StartsWith("proxy.skipInboundPorts is '80,x'. Use ports", StringComparison.Ordinal));
    }

    [Fact]
    public void Image_StandsBehindTheRegistry()
    {
        Assert.Equal("mesh-proxy:9", new InjectionValues { Version = "9" }.Image);
        Assert.Equal("registry.example/mesh/mesh-proxy:9", new InjectionValues { Version = "9", Registry = "registry.example/mesh/" }.Image);
    }
}
