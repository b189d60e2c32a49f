using System.Text.Json;
using Mesh.Testing;
using Xunit;

namespace Mesh.EndToEnd.Tests.WrongInput;

/// <summary>An operator saves a wrong manifest while traffic flows.</summary>
public sealed class WrongManifestTests(SharedMesh shared) : IClassFixture<SharedMesh>
{
    [Theory]
    [InlineData("port: 80 }", "port: eighty }", 5)] // a value of the wrong kind
    [InlineData("  ports:", "\tports: [", 5)] // no YAML at all
    public async Task Manifest_BrokenUnderLoad_LastGoodServesAndCheckNamesFileAndLine(string good, string bad, int line)
    {
        var file = Path.Combine(shared.Mesh.Manifests, "catalog.yaml");
        var valid = File.ReadAllText(file);
        var broken = valid.Replace(good, bad, StringComparison.Ordinal);
        Assert.NotEqual(valid, broken);
        await using var calls = new SteadyCalls(shared.Front, "http://catalog/", "ok");
        await calls.FlowAsync();

        using var restore = new Restore(file, valid);
        File.WriteAllText(file, broken);
        var found = default(JsonElement);
        await Eventually.Async(async () => (found = await ManifestErrorAsync()).ValueKind == JsonValueKind.Object, "the API reports the manifest");
        await calls.FlowAsync();

        Assert.StartsWith($"catalog.yaml:{line}", found.GetProperty("detail").GetString(), StringComparison.Ordinal);
        Assert.NotEmpty(found.GetProperty("fix").GetString()!);
        var (exit, output, _) = await Cli.RunAsync("check", "--server", shared.Mesh.Http, "--token", shared.Mesh.AdminToken);
        Assert.Equal(2, exit);
        Assert.Contains(found.GetProperty("detail").GetString()!, output, StringComparison.Ordinal);

        File.WriteAllText(file, valid);
        await Eventually.Async(async () => (await ManifestErrorAsync()).ValueKind == JsonValueKind.Undefined, "the API reports no error any more");
        await calls.FlowAsync();
        Assert.Empty(await calls.EndAsync());
        Assert.Equal(0, (await Cli.RunAsync("check", "--server", shared.Mesh.Http, "--token", shared.Mesh.AdminToken)).Exit);
    }

    private async Task<JsonElement> ManifestErrorAsync()
    {
        var errors = (await shared.Mesh.GetAsync("/api/v1/checks")).Where(c => c.GetProperty("result").GetString() == "error").ToArray();
        Assert.All(errors, error => Assert.Equal("manifests", error.GetProperty("id").GetString()));
        return errors.FirstOrDefault();
    }

    /// <summary>The next case starts from a good manifest, however this one ends.</summary>
    private sealed record Restore(string File, string Text) : IDisposable
    {
        public void Dispose() => System.IO.File.WriteAllText(File, Text);
    }
}
