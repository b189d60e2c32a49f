using System.Text.Json.Nodes;
using Mesh.ControlPlane.Cluster;
using Mesh.ControlPlane.Model;
using Xunit;

namespace Mesh.ControlPlane.Tests.Cluster;

/// <summary>What needs no server to be shown.</summary>
public sealed class PureTests
{
    private static readonly DateTimeOffset Now = new(2026, 5, 1, 12, 0, 0, TimeSpan.Zero);

    [Theory]
    [InlineData("10", "9", true)]
    [InlineData("9", "10", false)]
    [InlineData("10", "10", false)]
    [InlineData("123456789012345678901234567890", "99999999999999999999", true)]
    [InlineData("b", "a", true)]
    [InlineData("", "5", true)]
    public void Version_GrowsAsANumber_AndOfOthersTheLaterCounts(string version, string than, bool later) => Assert.Equal(later, WatchedObjects.IsLater(version, than));

    [Theory]
    [InlineData(null, "8080", false, "library:8080")]
    [InlineData("library:8080", "8080,9090", false, "library:8080,9090")]
    [InlineData("library:8000-9000", "8080,9090", false, "library:8000-9000,9090")]
    [InlineData("library", "8080", false, "library")]
    [InlineData("library:8080", "9090", true, "sidecar")]
    [InlineData("sidecar", "9090", false, "library:9090")]
    [InlineData("library:nonsense", "9090", false, "library:9090")]
    public void Mark_IsAddedToWhatStandsThere(string? text, string ports, bool sidecar, string expected) =>
        Assert.Equal(expected, MarkText.With(text, ports.Split(',').Select(int.Parse), sidecar));

    [Theory]
    [InlineData("sidecar", 1, true)]
    [InlineData("library", 1, false)]
    [InlineData("library:80,90", 90, false)]
    [InlineData("library:80,90", 91, null)]
    [InlineData("librarian", 80, null)]
    [InlineData(null, 80, null)]
    public void Mark_IsRead(string? text, int port, bool? sidecar) => Assert.Equal(sidecar, MarkText.Find(text, port));

    [Theory]
    [InlineData("10.0.0.1:8080", "10.0.0.1_8080")]
    [InlineData("[fd00::1]:8080", "fd00--1_8080")]
    public void MarkEntry_ComesBackAsItWas(string hostPort, string key)
    {
        Assert.Equal(key, MarkEntry.Key(hostPort));
        Assert.True(MarkEntry.TryRead(key, JsonValue.Create(MarkEntry.Value("spiffe://cluster.local/ns/shop/sa/cart", true)), out var read, out var id, out var sidecar));
        Assert.Equal((hostPort, "spiffe://cluster.local/ns/shop/sa/cart", true), (read, id, sidecar));
        Assert.False(MarkEntry.TryRead("nonsense", JsonValue.Create("library x"), out _, out _, out _));
        Assert.False(MarkEntry.TryRead(key, JsonValue.Create("other x"), out _, out _, out _));
    }

    [Fact]
    public void Status_KeepsOthers_AndTheMomentOfTheLastChange()
    {
        var wanted = Status("True");
        var first = StatusMerge.Changes(null, wanted, "us", Now)!;
        Assert.Equal("2026-05-01T12:00:00Z", first["parents"]![0]!["conditions"]![0]!["lastTransitionTime"]!.GetValue<string>());
        Assert.Null(StatusMerge.Changes((JsonObject)first.DeepClone(), wanted, "us", Now.AddHours(1)));

        var shared = (JsonObject)first.DeepClone();
        shared["parents"]!.AsArray().Insert(0, JsonNode.Parse("""{"controllerName":"them","parentRef":{"name":"edge"},"conditions":[{"type":"Accepted","status":"False"}]}"""));
        Assert.Null(StatusMerge.Changes((JsonObject)shared.DeepClone(), wanted, "us", Now.AddHours(1)));
        var changed = StatusMerge.Changes(shared, Status("False"), "us", Now.AddHours(1))!["parents"]!.AsArray();
        Assert.Equal(["them", "us"], changed.Select(p => p!["controllerName"]!.GetValue<string>()));
        Assert.Equal("2026-05-01T13:00:00Z", changed[1]!["conditions"]![0]!["lastTransitionTime"]!.GetValue<string>());

        // A message alone is no transition.
        var said = Status("True");
        said["parents"]![0]!["conditions"]![0]!["message"] = "other words";
        var told = StatusMerge.Changes((JsonObject)first.DeepClone(), said, "us", Now.AddHours(1))!["parents"]![0]!["conditions"]![0]!;
        Assert.Equal("2026-05-01T12:00:00Z", told["lastTransitionTime"]!.GetValue<string>());

        static JsonObject Status(string status) => (JsonObject)JsonNode.Parse($$"""
            {"parents":[{"controllerName":"us","parentRef":{"group":"","kind":"Service","name":"cart"},"conditions":[{"type":"Accepted","status":"{{status}}","reason":"Accepted","message":"m","observedGeneration":1}]}]}
            """)!;
    }

    [Fact]
    public void CaBundle_IsPatchedWhereItDiffers_OnTheVersionThatWasRead()
    {
        var configuration = (JsonObject)JsonNode.Parse("""{"metadata":{"resourceVersion":"7"},"webhooks":[{"clientConfig":{"caBundle":"eA=="}},{"clientConfig":{}},{"clientConfig":{"caBundle":"old"}}]}""")!;

        var patch = WebhookCaWriter.Patch(configuration, "eA==")!;

        Assert.Equal(["/metadata/resourceVersion", "/webhooks/1/clientConfig/caBundle", "/webhooks/2/clientConfig/caBundle"], patch.Select(p => p!["path"]!.GetValue<string>()));
        Assert.Equal("7", patch[0]!["value"]!.GetValue<string>());
        Assert.Null(WebhookCaWriter.Patch((JsonObject)JsonNode.Parse("""{"metadata":{"resourceVersion":"7"},"webhooks":[]}""")!, "eA=="));
    }
}
