using System.Runtime.CompilerServices;
using System.Text.RegularExpressions;
using Mesh.ControlPlane.Model.Policies;
using Mesh.ControlPlane.Sources.Files.Policies;
using Mesh.ControlPlane.Tests.Sources;
using Xunit;

namespace Mesh.ControlPlane.Tests.Docs;

/// <summary>What docs/policies.md shows is read as it stands, and shows everything.</summary>
public partial class PolicyDocsTests
{
    private static readonly string Text = File.ReadAllText(Path.Combine(Path.GetDirectoryName(Here())!, "../../../docs/policies.md"));

    private static readonly string[] Examples = [.. Yaml().Matches(Text).Select(m => m.Groups[1].Value)];

    public static TheoryData<string> Kinds => [.. PolicyKinds.All.Select(k => k.Name)];

    [Fact]
    public void Examples_AreRead_WithoutAProblem()
    {
        var model = Manifests.Model(string.Join("\n---\n", Examples));

        Assert.Empty(model.Problems);
        Assert.All(model.Policies, p => Assert.All(p.Attachments, a => Assert.True(a.IsAccepted)));
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Kind_HasASectionAndAnExample(string kind)
    {
        Assert.Contains($"\n## {kind}\n", Text, StringComparison.Ordinal);
        Assert.Contains(Examples, e => e.Contains($"kind: {kind}\n", StringComparison.Ordinal));
    }

    [Fact]
    public void Examples_SetEverySetting()
    {
        var shown = Manifests.Model(string.Join("\n---\n", Examples)).Policies.SelectMany(p => p.Values).Select(v => v.Setting).ToHashSet();

        Assert.Empty(PolicySettings.All.Concat(PolicySettings.OfRules).Except(shown).Select(s => s.Name));
    }

    private static string Here([CallerFilePath] string here = "") => here;

    [GeneratedRegex("```yaml\n(.*?)```", RegexOptions.Singleline)]
    private static partial Regex Yaml();
}
