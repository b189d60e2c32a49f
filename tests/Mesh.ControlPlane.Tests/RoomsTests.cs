using System.Reflection;
using NetArchTest.Rules;
using Xunit;

namespace Mesh.ControlPlane.Tests;

/// <summary>The rooms' one direction (docs/architecture.md): look down only.</summary>
public sealed class RoomsTests
{
    private static readonly Assembly _controlPlane = typeof(ControlPlane.Model.MeshModel).Assembly;

    // Every room with the floor it lies on. A room that is new must be given its place here.
    private static readonly Dictionary<string, int> _floors = new()
    {
        ["Model"] = 0,
        ["Sources"] = 1,
        ["Translation"] = 1,
        ["CertificateAuthority"] = 2,
        ["Xds"] = 2,
        ["Telemetry"] = 2,
        ["Tap"] = 2,
        ["Injector"] = 2,
        ["Install"] = 2,
        ["Insight"] = 3,
        ["Api"] = 4,
        ["Dashboard"] = 4,
        ["Cluster"] = 5,
        ["Hosting"] = 6,
    };

    // What a room sees against the rule, each with its reason.
    private static readonly Dictionary<string, string[]> _exceptions = new()
    {
        // A stream is somebody's: whose certificate it rests on is asked for.
        ["Xds"] = ["CertificateAuthority"],
    };

    public static TheoryData<string> Rooms => [.. _floors.Keys];

    [Theory]
    [MemberData(nameof(Rooms))]
    public void Room_LooksDownOnly(string room)
    {
        var allowed = _exceptions.GetValueOrDefault(room, []);
        string[] forbidden = [.. _floors.Where(other => other.Key != room && other.Value >= _floors[room] && !allowed.Contains(other.Key)).Select(other => $"Mesh.ControlPlane.{other.Key}")];
        Check(room, forbidden);
    }

    [Fact]
    public void AllRooms_HaveAFloor() => Assert.Equal(
        _floors.Keys.Order(),
        _controlPlane.GetTypes().Select(t => t.Namespace ?? string.Empty).Where(n => n.StartsWith("Mesh.ControlPlane.", StringComparison.Ordinal)).Select(n => n.Split('.')[2]).Distinct().Order());

    /// <summary>Whoever asks the API server elsewhere does so by paths and JSON.</summary>
    [Fact]
    public void TypesOfKubernetesClient_StayInOneRoom()
    {
        var result = Types.InAssembly(_controlPlane).That().DoNotResideInNamespaceStartingWith("Mesh.ControlPlane.Sources.Kubernetes").ShouldNot().HaveDependencyOn("k8s").GetResult();

        Assert.True(result.IsSuccessful, $"KubernetesClient reaches {Offenders(result)}");
    }

    private static void Check(string room, string[] forbidden)
    {
        var result = Types.InAssembly(_controlPlane).That().ResideInNamespaceMatching($@"^Mesh\.ControlPlane\.{room}(\.|$)").ShouldNot().HaveDependencyOnAny(forbidden).GetResult();

        Assert.True(result.IsSuccessful, $"Mesh.ControlPlane.{room} may not see {string.Join(", ", forbidden)}, but these of its types do: {Offenders(result)}");
    }

    private static string Offenders(NetArchTest.Rules.TestResult result) => string.Join(", ", result.FailingTypes?.Select(t => t.FullName) ?? []);
}
