using Xunit;

namespace Mesh.EndToEnd.Tests.ForeignPeers;

/// <summary>The scripts of grpc-js, with their packages.</summary>
internal static class NodePeer
{
    private static readonly SemaphoreSlim _one = new(1);

    public static string Folder { get; } = Path.Combine(AppContext.BaseDirectory, "ForeignPeers", "node");

    /// <summary>Installs the packages, once.</summary>
    public static async Task InstallAsync()
    {
        await _one.WaitAsync(TestContext.Current.CancellationToken);
        try
        {
            // npm writes this file last: an install that was cut off is done again.
            if (!File.Exists(Path.Combine(Folder, "node_modules", ".package-lock.json")))
            {
                await using var install = ChildProcess.Start("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"], folder: Folder);
                Assert.True(await install.ExitAsync(TimeSpan.FromMinutes(3)) == 0, install.Errors);
            }
        }
        finally
        {
            _one.Release();
        }
    }

    public static void SkipUnlessInstalled()
    {
        var skip = Environment.GetEnvironmentVariable("MESH_TEST_SKIP") ?? "";
        Assert.SkipWhen(skip.Contains("foreign-peers", StringComparison.Ordinal), "Node and python3-grpcio are not installed; ./eng/test installs them when run as root.");
    }
}
