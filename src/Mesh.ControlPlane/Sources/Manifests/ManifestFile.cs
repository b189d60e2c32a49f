using System.Collections.Immutable;
using System.Text.Json.Nodes;
using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Sources.Manifests.Policies;

namespace Mesh.ControlPlane.Sources.Manifests;

/// <summary>What is in force of one file, or of one object of a cluster: its valid objects, and the last good version of those that are not.</summary>
/// <param name="Path">Relative to the folder, with '/'.</param>
internal sealed record ManifestFile(string Path, ImmutableArray<Manifest> Objects, ImmutableArray<SourceProblem> Problems)
{
    /// <summary>Of an object of a cluster where it is; null of a file.</summary>
    public ObjectOrigin? Origin { get; init; }

    /// <summary>Of the version that is in force, <c>metadata.generation</c>; 0 of a file.</summary>
    public long GenerationInForce { get; init; }

    /// <summary>Objects whose newest version is not used.</summary>
    public ImmutableArray<RefusedManifest> Refused { get; init; } = [];

    private const string Kept = " The last good version stays in force.";
    private const string NotUsed = " It is not used.";
    private const string Closed = " No version of it was ever valid: what it targets is closed but for probes until it is corrected.";
    private const string TargetUnread = " It is not used, and what it is about can't be read: NOTHING IS PROTECTED BY IT until it is corrected.";
    private const string FileKept = " What was last read from the file stays in force.";
    private const string FileNotUsed = " Nothing of it is used.";

    /// <summary>Reads a file's new text over what was in force of it. Pure.</summary>
    /// <param name="before">Null when the file is new.</param>
    public static ManifestFile Read(string path, string text, ManifestFile? before)
    {
        // An editor may empty a file before it writes it: that must not take a service away.
        if (string.IsNullOrWhiteSpace(text) && before is { Objects.Length: > 0 })
        {
            return Unread(path, new SourceProblem($"{path}:1", "The file is empty. Delete the file to remove its objects."), before);
        }

        IReadOnlyList<ParsedDocument> documents;
        try
        {
            documents = ManifestParser.Parse(path, text);
        }
        catch (ManifestSyntaxException e)
        {
            return Unread(path, new SourceProblem(e.Where, e.Message), before);
        }

        return Merge(path, documents, before);
    }

    /// <summary>Reads the newest version of one object of a cluster over what was in force of it. Pure.</summary>
    /// <param name="path">What problems name it by: kind, namespace and name.</param>
    /// <param name="origin">Null for what has no status of ours.</param>
    /// <param name="before">Null when the object is new.</param>
    public static ManifestFile ReadObject(string path, string kind, JsonObject json, bool lenient, ObjectOrigin? origin, ManifestFile? before)
    {
        var document = ManifestParser.ParseObject(path, kind, json, lenient);
        return Merge(path, [document], before) with { Origin = origin, GenerationInForce = document.Object is not null ? origin?.Generation ?? 0 : before?.GenerationInForce ?? 0 };
    }

    private static ManifestFile Merge(string path, IReadOnlyList<ParsedDocument> documents, ManifestFile? before)
    {
        var objects = ImmutableArray.CreateBuilder<Manifest>();
        var problems = ImmutableArray.CreateBuilder<SourceProblem>();
        var refusals = ImmutableArray.CreateBuilder<RefusedManifest>();
        var lastGood = before?.Objects.ToDictionary(o => o.Key) ?? [];
        var byKey = new Dictionary<ManifestKey, Manifest>();
        var nameless = false;
        foreach (var document in documents)
        {
            var inForce = document.Object;
            var refused = inForce is null;
            if (refused && document.Key is { } key)
            {
                inForce = lastGood.GetValueOrDefault(key);
                refusals.AddRange(document.Problems.All.Where(p => p.Refuses)
                    .Select(p => new RefusedManifest(key, p.Problem.Where, p.Problem.What) { Targets = document.Targets, Parents = document.Parents }));
            }

            nameless |= refused && document.Key is null;
            problems.AddRange(document.Problems.All.Select(p =>
                !p.Refuses ? p.Problem : p.Problem with { What = p.Problem.What + (inForce is not null ? Kept : Unused(document)) }));
            if (inForce is null)
            {
                continue;
            }

            if (!byKey.TryAdd(inForce.Key, inForce))
            {
                problems.Add(new SourceProblem(inForce.Where, $"{inForce.Key} stands already at {byKey[inForce.Key].Where}, which is used. Remove one of the two."));
                continue;
            }

            objects.Add(inForce);
        }

        if (nameless)
        {
            // One of those that are gone may be the one whose name cannot be read.
            objects.AddRange(lastGood.Values.Where(o => !byKey.ContainsKey(o.Key)));
        }

        return new ManifestFile(path, objects.ToImmutable(), problems.ToImmutable()) { Refused = refusals.ToImmutable() };
    }

    /// <summary>What becomes of an object of which no version was ever valid.</summary>
    private static string Unused(ParsedDocument document) => document.Key is { } key && PolicyKinds.Find(key.Kind) is { Closes: true }
        ? document.Targets.IsEmpty ? TargetUnread : Closed
        : NotUsed;

    /// <summary>The file as it was, with the reason why it could not be read again.</summary>
    public static ManifestFile Unread(string path, SourceProblem problem, ManifestFile? before) => new(
        path, before?.Objects ?? [], [problem with { What = problem.What + (before is { Objects.Length: > 0 } ? FileKept : FileNotUsed) }]);
}

/// <summary>One reason why the newest version of an object is not used.</summary>
/// <param name="Where">File and line.</param>
internal sealed record RefusedManifest(ManifestKey Key, string Where, string What)
{
    /// <summary>Of a policy: what could be read of its targets.</summary>
    public ImmutableArray<PolicyTargetManifest> Targets { get; init; } = [];

    /// <summary>Of a route: what could be read of its parents.</summary>
    public ImmutableArray<ParentRefManifest> Parents { get; init; } = [];
}
