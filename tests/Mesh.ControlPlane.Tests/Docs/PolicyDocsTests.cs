using System.Runtime.CompilerServices;
using System.Text.RegularExpressions;
using Mesh.ControlPlane.Model.Policies;
using Mesh.ControlPlane.Sources.Manifests.Policies;
using Mesh.ControlPlane.Tests.Sources;
using Xunit;

namespace Mesh.ControlPlane.Tests.Docs;

/// <summary>What docs/policies.md and docs/authorization.md show is read as it stands, and they show everything.</summary>
public partial class PolicyDocsTests
{
    private static readonly string[] Files = ["policies.md", "authorization.md"];

    private static readonly string[] Texts = [.. Files.Select(f => File.ReadAllText(Path.Combine(Path.GetDirectoryName(Here())!, "../../../docs", f)))];

    public static TheoryData<string> Kinds => [.. PolicyKinds.All.Select(k => k.Name)];

    [Fact]
    public void Examples_AreRead_WithoutAProblem() => Assert.All(Texts, text =>
    {
        var model = Manifests.Model(string.Join("\n---\n", Examples(text)));

        Assert.Empty(model.Problems);
        Assert.All(model.Policies, p => Assert.All(p.Attachments, a => Assert.True(a.IsAccepted)));
    });

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Kind_HasASectionAndAnExample(string kind)
    {
        var text = Assert.Single(Texts, t => t.Contains($"\n## {kind}\n", StringComparison.Ordinal));
        Assert.Contains(Examples(text), e => e.Contains($"kind: {kind}\n", StringComparison.Ordinal));
        Assert.Contains($"`{kind}`", Texts[0], StringComparison.Ordinal);
    }

    [Fact]
    public void Examples_SetEverySetting()
    {
        var shown = Texts.SelectMany(t => Manifests.Model(string.Join("\n---\n", Examples(t))).Policies).SelectMany(p => p.Values).Select(v => v.Setting).ToHashSet();
        Setting[] all = [.. PolicySettings.All, .. PolicySettings.OfRules, .. ServerSettings.All, .. AuthorizationSettings.All, .. AuthenticationSettings.All];

        Assert.Empty(all.Except(shown).Select(s => s.Name));
    }

    private static IEnumerable<string> Examples(string text) => Yaml().Matches(text).Select(m => m.Groups[1].Value);

    private static string Here([CallerFilePath] string here = "") => here;

    [GeneratedRegex("```yaml\n(.*?)```", RegexOptions.Singleline)]
    private static partial Regex Yaml();
}
