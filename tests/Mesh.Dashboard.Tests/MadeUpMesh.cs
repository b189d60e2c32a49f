using System.Text.Json;
using Mesh.EndToEnd.Tests;
using Xunit;

namespace Mesh.Dashboard.Tests;

/// <summary>The app's own made-up control plane (mock/server.mjs): a mesh in trouble of every kind, the same each time.</summary>
internal sealed class MadeUpMesh : IAsyncDisposable
{
    private readonly ChildProcess _server;

    private MadeUpMesh(ChildProcess server, string address) => (_server, Address) = (server, address);

    public string Address { get; }

    /// <summary>The page's sources, and what they were built into.</summary>
    public static string App { get; } = Path.Combine(Root(), "src", "Mesh.ControlPlane", "Dashboard", "app");

    public static async Task<MadeUpMesh> StartAsync(params string[] options)
    {
        Assert.SkipWhen(Chromium.Missing is not null, Chromium.Missing ?? string.Empty);
        Assert.SkipUnless(File.Exists(Path.Combine(App, "dist", "index.html")), "The page was not built in this working copy.");
        var server = ChildProcess.Start("node", [Path.Combine(App, "mock", "server.mjs"), "--port", "0", "--watch-stdin", .. options]);
        try
        {
            var line = await server.FirstLineAsync(TimeSpan.FromSeconds(60));
            return new MadeUpMesh(server, JsonDocument.Parse(line).RootElement.GetProperty("url").GetString()!);
        }
        catch
        {
            await server.DisposeAsync();
            throw;
        }
    }

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    public static string Root()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (folder is not null && !File.Exists(Path.Combine(folder.FullName, "Mesh.Lib.sln")))
        {
            folder = folder.Parent;
        }

        return folder?.FullName ?? throw new InvalidOperationException($"{AppContext.BaseDirectory} is not within the repository.");
    }
}
