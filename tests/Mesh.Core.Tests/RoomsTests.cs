using System.Reflection;
using NetArchTest.Rules;
using Xunit;

namespace Mesh;

/// <summary>The rooms' one direction (conventions §1): look down only; rooms on one floor never see each other.</summary>
public sealed class RoomsTests
{
    private static readonly Assembly _core = typeof(Concurrency.Backoff).Assembly;

    // Every room with the floor it lies on. A room that is new must be given its place here.
    private static readonly Dictionary<string, int> _floors = new()
    {
        ["Traffic"] = 0,
        ["Spiffe"] = 0,
        ["Jwt"] = 0,
        ["Telemetry"] = 0,
        ["Concurrency"] = 0,
        ["Config"] = 1,
        ["Routing"] = 2,
        ["Balancing"] = 2,
        ["Resilience"] = 2,
        ["Policy"] = 2,
        ["Identity"] = 2,
        ["Xds"] = 2,
        ["Export"] = 2,
        ["Tap"] = 2,
        ["Outbound"] = 3,
        ["Inbound"] = 3,
        ["Hosting"] = 4,
    };

    // What a room sees against the rule, each with its reason. Nothing else may be added without one.
    private static readonly Dictionary<string, string[]> _exceptions = new()
    {
        // Tasks are awaited and state is shared by values too: Concurrency is the floor under the ground floor.
        ["Traffic"] = ["Concurrency"],
        ["Spiffe"] = ["Concurrency"],
        ["Telemetry"] = ["Concurrency"],
    };

    public static TheoryData<string> Rooms => [.. _floors.Keys];

    [Theory]
    [MemberData(nameof(Rooms))]
    public void Room_LooksDownOnly(string room)
    {
        var floor = _floors[room];
        var allowed = _exceptions.GetValueOrDefault(room, []);
        string[] forbidden = [.. _floors
            .Where(other => other.Key != room && other.Value >= floor && !allowed.Contains(other.Key))
            // Within Core only Hosting sees Xds.
            .Select(other => other.Key)
            .Union(room is "Hosting" or "Xds" ? [] : ["Xds"])
            .SelectMany(other => room == "Xds" && other == "Hosting" ? HostingWithoutAdsVariant() : [$"Mesh.{other}"])];

        var result = Types.InAssembly(_core).That().ResideInNamespaceMatching($@"^Mesh\.{room}(\.|$)").ShouldNot().HaveDependencyOnAny(forbidden).GetResult();

        Assert.True(result.IsSuccessful, $"Mesh.{room} may not see {string.Join(", ", forbidden)}, but these of its types do: {Offenders(result)}");
    }

    [Fact]
    public void Protobuf_StaysBehindDecodersSourcesAndExport()
    {
        // Identity: the SVID source speaks the CSR service. Export: OTLP. All others get our own records.
        var result = Types.InAssembly(_core)
            .That().ResideInNamespaceMatching(@"^Mesh\.(Traffic|Spiffe|Jwt|Telemetry|Concurrency|Config|Routing|Balancing|Resilience|Policy|Outbound|Inbound)(\.|$)")
            .ShouldNot().HaveDependencyOnAny("Mesh.Protos", "Google.Protobuf").GetResult();

        Assert.True(result.IsSuccessful, $"Protobuf types reach {Offenders(result)}");
    }

    [Fact]
    public void Hosts_StayOutOfCore()
    {
        var result = Types.InAssembly(_core).That().ResideInNamespaceMatching(@"^Mesh\.").ShouldNot()
            .HaveDependencyOnAny("Microsoft.AspNetCore", "Mesh.Client", "Mesh.Server", "Mesh.ControlPlane", "Mesh.Cli").GetResult();

        Assert.True(result.IsSuccessful, $"Core knows a host through {Offenders(result)}");
    }

    [Fact]
    public void EveryNamespaceOfCore_IsARoom()
    {
        var strangers = _core.GetTypes()
            .Select(type => type.Namespace)
            .Where(name => name is not null && name.StartsWith("Mesh.", StringComparison.Ordinal))
            .Select(name => name!.Split('.')[1])
            .Distinct()
            .Where(room => room != "Protos" && !_floors.ContainsKey(room));

        Assert.Empty(strangers);
    }

    // AdsVariant is a word of the protocol that lies with the options because operators write it: Xds may see it, and no other type there.
    private static IEnumerable<string> HostingWithoutAdsVariant() =>
        _core.GetTypes().Where(type => type is { Namespace: "Mesh.Hosting", IsNested: false, Name: not "AdsVariant" }).Select(type => type.FullName!);

    private static string Offenders(NetArchTest.Rules.TestResult result) => string.Join(", ", result.FailingTypeNames ?? []);
}
