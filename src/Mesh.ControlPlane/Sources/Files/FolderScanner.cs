using System.IO.Enumeration;

namespace Mesh.ControlPlane.Sources.Files;

/// <summary>What tells whether a file changed, without reading it.</summary>
/// <param name="Path">Relative to the folder, with '/'.</param>
internal sealed record FileStamp(string Path, DateTime Modified, long Size, string? Target);

/// <summary>Lists the manifests of a folder.</summary>
internal static class FolderScanner
{
    /// <summary>Far more than any manifest; a larger file is some other thing.</summary>
    public const long MaxFileBytes = 16 * 1024 * 1024;

    // Hidden entries are left out: Kubernetes mounts a ConfigMap as links into a hidden '..data' folder, editors keep their copies so.
    private static readonly EnumerationOptions Options = new()
    {
        RecurseSubdirectories = true,
        MaxRecursionDepth = 32,
        IgnoreInaccessible = true,
        AttributesToSkip = FileAttributes.Hidden | FileAttributes.System,
    };

    /// <summary>Every *.yaml and *.yml, in ordinal order of the path.</summary>
    public static List<FileStamp> Scan(string folder)
    {
        var stamps = new List<FileStamp>();
        foreach (var path in Files(folder))
        {
            if (!path.EndsWith(".yaml", StringComparison.OrdinalIgnoreCase) && !path.EndsWith(".yml", StringComparison.OrdinalIgnoreCase))
            {
                continue;
            }

            var file = new FileInfo(path);
            try
            {
                var target = file.LinkTarget is null ? null : file.ResolveLinkTarget(returnFinalTarget: true);
                var real = target as FileInfo ?? file;
                if (real.Exists)
                {
                    stamps.Add(new FileStamp(Path.GetRelativePath(folder, path).Replace('\\', '/'), real.LastWriteTimeUtc, real.Length, DataLink(file)));
                }
            }
            catch (IOException)
            {
                // Gone or replaced between listing and looking: the next look sees what came of it.
            }
        }

        stamps.Sort((a, b) => string.CompareOrdinal(a.Path, b.Path));
        return stamps;
    }

    private static FileSystemEnumerable<string> Files(string folder)
    {
        var followed = new HashSet<string>(StringComparer.Ordinal);
        return new FileSystemEnumerable<string>(folder, (ref FileSystemEntry entry) => entry.ToFullPath(), Options)
        {
            ShouldIncludePredicate = (ref FileSystemEntry entry) => !entry.IsDirectory,
            ShouldRecursePredicate = (ref FileSystemEntry entry) => (entry.Attributes & FileAttributes.ReparsePoint) == 0 || LeadsOut(folder, entry.ToFullPath(), followed),
        };
    }

    /// <summary>A link to a folder is followed once, and only out of ours: what lies in ours is listed anyway, and links in a circle have no end.</summary>
    private static bool LeadsOut(string folder, string link, HashSet<string> followed)
    {
        try
        {
            return new DirectoryInfo(link).ResolveLinkTarget(returnFinalTarget: true) is { } target
                && !Holds(folder, target.FullName) && !Holds(target.FullName, folder) && followed.Add(target.FullName);
        }
        catch (IOException)
        {
            return false;
        }

        static bool Holds(string outer, string inner) => WithSeparator(inner).StartsWith(WithSeparator(outer), StringComparison.Ordinal);

        static string WithSeparator(string path) => Path.EndsInDirectorySeparator(path) ? path : path + Path.DirectorySeparatorChar;
    }

    /// <summary>Where the folder's <c>..data</c> points: Kubernetes swaps that one link, the files' own links stay.</summary>
    private static string? DataLink(FileInfo file) => file.LinkTarget is null || file.DirectoryName is null ? null
        : new DirectoryInfo(Path.Combine(file.DirectoryName, "..data")).LinkTarget ?? file.LinkTarget;
}
