using System.Reflection;

namespace Mesh.ControlPlane.Dashboard;

/// <summary>The page's files, embedded when this was built. Immutable.</summary>
/// <param name="Files">By their relative path; empty: it was built without the page.</param>
internal sealed record DashboardFiles(IReadOnlyDictionary<string, DashboardFile> Files)
{
    private const string Prefix = "dashboard/";
    private static readonly Lazy<DashboardFiles> _embedded = new(() => Read(typeof(DashboardFiles).Assembly));

    public static DashboardFiles Embedded => _embedded.Value;

    public DashboardFile? Page => Files.GetValueOrDefault("index.html");

    private static DashboardFiles Read(Assembly assembly)
    {
        var names = assembly.GetManifestResourceNames().Where(n => n.StartsWith(Prefix, StringComparison.Ordinal)).ToList();
        // On Windows the separator of the build is in the names.
        var contents = names.ToDictionary(n => n[Prefix.Length..].Replace('\\', '/'), n => Content(assembly, n), StringComparer.Ordinal);
        return new DashboardFiles(contents.Where(c => !IsCompressed(c.Key)).ToDictionary(
            c => c.Key,
            c => new DashboardFile(c.Key, TypeOf(c.Key), c.Value, contents.GetValueOrDefault(c.Key + ".br"), contents.GetValueOrDefault(c.Key + ".gz")),
            StringComparer.Ordinal));
    }

    private static bool IsCompressed(string name) => name.EndsWith(".br", StringComparison.Ordinal) || name.EndsWith(".gz", StringComparison.Ordinal);

    private static ReadOnlyMemory<byte> Content(Assembly assembly, string name)
    {
        using var stream = assembly.GetManifestResourceStream(name)!;
        var bytes = new byte[stream.Length];
        stream.ReadExactly(bytes);
        return bytes;
    }

    private static string TypeOf(string name) => System.IO.Path.GetExtension(name) switch
    {
        ".html" => "text/html; charset=utf-8",
        ".js" => "text/javascript; charset=utf-8",
        ".css" => "text/css; charset=utf-8",
        ".svg" => "image/svg+xml",
        _ => "application/octet-stream",
    };
}
