using Mesh.Testing.Namespaces;
using Xunit;

namespace Mesh.Pods.Tests;

/// <summary>The programs of the mesh, and the apps that know nothing of it.</summary>
internal static class Programs
{
    // Debian's: a python3 that stands first in PATH may be another, without its packages.
    public const string Python = "/usr/bin/python3";
    public const string Node = "node";
    private static readonly SemaphoreSlim _one = new(1);

    public static string Dotnet => Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet";

    public static string App(string name) => Path.Combine(AppContext.BaseDirectory, "Apps", name);

    /// <summary>One of our own programs, which stand beside the tests.</summary>
    public static (string File, string[] Arguments) Ours(string assembly, params string[] arguments) =>
        (Dotnet, [Path.Combine(AppContext.BaseDirectory, assembly + ".dll"), .. arguments]);

    /// <summary>mesh-proxy: the file that MESH_PROXY names, else the one beside the tests.</summary>
    public static (string File, string[] Arguments) Proxy(params string[] arguments) =>
        Environment.GetEnvironmentVariable("MESH_PROXY") is { Length: > 0 } binary ? (Path.GetFullPath(binary), arguments) : Ours("mesh-proxy", arguments);

    /// <summary>Installs the packages of the Node apps, once.</summary>
    public static async Task InstallAsync()
    {
        await _one.WaitAsync(TestContext.Current.CancellationToken);
        try
        {
            // npm writes this file last: an install that was cut off is done again.
            if (!File.Exists(App("node_modules/.package-lock.json")))
            {
                await using var install = NamespaceProcess.Start("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", App("")], null);
                Assert.True(await install.ExitAsync(TimeSpan.FromMinutes(3)) == 0, install.Errors);
            }
        }
        finally
        {
            _one.Release();
        }
    }
}
