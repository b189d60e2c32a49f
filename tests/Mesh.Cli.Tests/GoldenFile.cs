using System.Runtime.CompilerServices;

namespace Mesh.Cli.Tests;

/// <summary>Golden/&lt;name&gt;: what a command writes. Rewritten with MESH_UPDATE_GOLDEN=1, then reviewed as a diff.</summary>
internal static class GoldenFile
{
    public static void Check(string name, string actual)
    {
        var file = Path.Combine(Path.GetDirectoryName(Here())!, "Golden", name);
        if (Environment.GetEnvironmentVariable("MESH_UPDATE_GOLDEN") == "1")
        {
            File.WriteAllText(file, actual);
        }

        Assert.True(File.Exists(file), $"{file} is missing. Run with MESH_UPDATE_GOLDEN=1 and review it.");
        Assert.Equal(File.ReadAllText(file), actual, ignoreLineEndingDifferences: true);
    }

    private static string Here([CallerFilePath] string here = "") => here;
}
