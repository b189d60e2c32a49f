using System.Runtime.CompilerServices;
using System.Text.RegularExpressions;
using Mesh.Cli.Checks;
using Mesh.Cli.Commands;
using Mesh.ControlPlane.Install;

namespace Mesh.Cli.Tests;

/// <summary>docs/kubernetes.md says what the code does.</summary>
public sealed partial class KubernetesDocsTests
{
    private static readonly string Text = File.ReadAllText(Path.Combine(Path.GetDirectoryName(Here())!, "../../docs/kubernetes.md"));

    [Fact]
    public void Values_AreTheCatalogue()
    {
        var expected = InstallCatalogue.All.Select(v =>
            $"| `{v.Path}` | {Code(v.Default)} | {(v.HaDefault is null ? "" : Code(v.HaDefault))} | {v.Description} |");

        Assert.Equal(expected, Text.Split('\n').Where(l => ValueRow().IsMatch(l)));
    }

    [Fact]
    public void Checks_HaveASectionEach()
    {
        ClusterCheck[] checks = [.. ApiChecks.All, .. PreChecks.All, .. InstallChecks.All, .. ProxyChecks.Of(null)];
        var ids = checks.Select(c => c.Id).Append("MESH-CHK-041").Distinct().Order(StringComparer.Ordinal);

        Assert.Equal(ids, Section().Matches(Text).Select(m => m.Groups[1].Value));
    }

    [Fact]
    public void Ids_MeanOneThing()
    {
        ClusterCheck[] checks = [.. ApiChecks.All, .. PreChecks.All, .. InstallChecks.All, .. ProxyChecks.Of("shop")];

        Assert.All(checks.GroupBy(c => c.Id), same => Assert.Single(same.Select(c => c.Description).Distinct()));
    }

    private static string Code(System.Text.Json.Nodes.JsonNode? value) => InstallCommand.Shown(value) is var shown && shown == "-" ? "" : $"`{shown}`";

    private static string Here([CallerFilePath] string here = "") => here;

    [GeneratedRegex(@"^\| `[a-zA-Z.]+` \| .* \| .* \| .* \|$")]
    private static partial Regex ValueRow();

    [GeneratedRegex("^### (MESH-CHK-[0-9]{3})$", RegexOptions.Multiline)]
    private static partial Regex Section();
}
