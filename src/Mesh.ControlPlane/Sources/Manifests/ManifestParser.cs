using System.Collections.Immutable;
using Mesh.ControlPlane.Sources.Manifests.Policies;
using YamlDotNet.Core;
using YamlDotNet.Core.Events;
using YamlDotNet.RepresentationModel;

namespace Mesh.ControlPlane.Sources.Manifests;

/// <summary>One document (or list item) of a file, read.</summary>
/// <param name="Key">Null when kind or name could not be read.</param>
/// <param name="Object">Null when it is invalid.</param>
internal sealed record ParsedDocument(ManifestKey? Key, Manifest? Object, ProblemList Problems)
{
    /// <summary>Of an invalid policy: what could be read of its targets.</summary>
    public ImmutableArray<PolicyTargetManifest> Targets { get; init; } = [];

    /// <summary>Of an invalid route: what could be read of its parents.</summary>
    public ImmutableArray<ParentRefManifest> Parents { get; init; } = [];
}

/// <summary>Turns the text of one file into objects, or says why not. Pure.</summary>
internal static class ManifestParser
{
    public const string Core = "v1";
    public const string Discovery = "discovery.k8s.io/v1";
    public const string Gateway = "gateway.networking.k8s.io/v1";
    public const string GatewayBeta = "gateway.networking.k8s.io/v1beta1";

    /// <summary>Deeper than any manifest; the YAML reader recurses, and a stack overflow cannot be caught.</summary>
    private const int MaxDepth = 50;

    private static readonly Dictionary<string, (string[] ApiVersions, Func<YamlMap, ManifestKey, ObjectMeta, Manifest?> Read)> Kinds = AllKinds();

    private static readonly string[] KnownKinds = [.. Kinds.Keys, "List"];

    private static Dictionary<string, (string[], Func<YamlMap, ManifestKey, ObjectMeta, Manifest?>)> AllKinds()
    {
        var kinds = new Dictionary<string, (string[], Func<YamlMap, ManifestKey, ObjectMeta, Manifest?>)>(StringComparer.Ordinal)
        {
            ["Service"] = ([Core], ServiceReader.Read),
            ["EndpointSlice"] = ([Discovery], EndpointSliceReader.Read),
            ["Pod"] = ([Core], PodReader.Read),
            [KubeNodeReader.Kind] = ([Core], KubeNodeReader.Read),
            [NamespaceReader.Kind] = ([Core], NamespaceReader.Read),
            ["HTTPRoute"] = ([Gateway], HttpRouteReader.Read),
            ["GRPCRoute"] = ([Gateway], GrpcRouteReader.Read),
            [ConnectionRouteReader.TlsKind] = (ConnectionRouteReader.TlsVersions, ConnectionRouteReader.Read),
            [ConnectionRouteReader.TcpKind] = (ConnectionRouteReader.TcpVersions, ConnectionRouteReader.Read),
            ["ReferenceGrant"] = ([GatewayBeta, Gateway], ReferenceGrantReader.Read),
            [FilterReader.DirectResponseKind] = ([DirectResponseReader.ApiVersion], DirectResponseReader.Read),
        };
        foreach (var policy in PolicyKinds.All)
        {
            kinds.Add(policy.Name, ([PolicyKind.ApiVersion], PolicyReader.Of(policy)));
        }

        return kinds;
    }

    /// <param name="file">As it shall stand in problems.</param>
    /// <exception cref="ManifestSyntaxException">The text is no YAML; the message says where and why.</exception>
    public static IReadOnlyList<ParsedDocument> Parse(string file, string text)
    {
        var documents = new List<ParsedDocument>();
        foreach (var document in Load(file, text).Documents)
        {
            Read(file, ManifestNode.Of(document.RootNode), inList: false, documents);
        }

        return documents;
    }

    /// <summary>The kinds that are read, each with its versions, the preferred one first.</summary>
    public static IEnumerable<(string Kind, IReadOnlyList<string> ApiVersions)> KnownVersions => Kinds.Select(k => (k.Key, (IReadOnlyList<string>)k.Value.ApiVersions));

    /// <summary>Reads one object as the API server sent it.</summary>
    /// <param name="where">What problems name it by.</param>
    /// <param name="lenient">It is of a kind of Kubernetes itself: fields that we do not know are newer than we are.</param>
    public static ParsedDocument ParseObject(string where, string kind, System.Text.Json.Nodes.JsonObject json, bool lenient)
    {
        var problems = new ProblemList(where) { Lenient = lenient };
        var map = new YamlMap(ManifestNode.Of(json), string.Empty, problems);
        map.Ignore("apiVersion", "kind");
        var key = TryKey(map, kind);
        problems.Subject = key?.ToString() ?? string.Empty;
        return Read(map, key, kind, problems);
    }

    private static ParsedDocument Read(YamlMap map, ManifestKey? key, string kind, ProblemList problems)
    {
        var meta = ObjectMeta.Read(map, kind == "Service");
        var manifest = meta is null || key is null ? null : Kinds[kind].Read(map, key.Value, meta);
        map.Ignore("status");
        map.Close();
        return new ParsedDocument(key, problems.Refused ? null : manifest, problems)
        {
            Targets = problems.Refused && manifest is PolicyManifest policy ? policy.Targets : [],
            Parents = !problems.Refused ? [] : manifest switch { RouteManifest route => route.Parents, ConnectionRouteManifest route => route.Parents, _ => [] },
        };
    }

    private static YamlStream Load(string file, string text)
    {
        try
        {
            CheckDepth(text);
            var yaml = new YamlStream();
            yaml.Load(new StringReader(text));
            return yaml;
        }
        catch (YamlException e)
        {
            throw new ManifestSyntaxException($"{file}:{LineOf(e, text)}", $"The file is no valid YAML: {Reason(e)} Correct the line.");
        }
        catch (Exception e) when (e is ArgumentException or InvalidOperationException)
        {
            // What YamlDotNet throws for a few malformed documents, such as an alias to what contains it, or broken text in braces after an empty key.
            throw new ManifestSyntaxException($"{file}:1", $"The file is no valid YAML: {e.Message} Correct it.");
        }
    }

    private static void CheckDepth(string text)
    {
        var parser = new Parser(new StringReader(text));
        var depth = 0;
        while (parser.MoveNext())
        {
            depth += parser.Current switch
            {
                MappingStart or SequenceStart => 1,
                MappingEnd or SequenceEnd => -1,
                _ => 0,
            };
            if (depth > MaxDepth)
            {
                throw new YamlException(parser.Current!.Start, parser.Current.End, $"It is nested deeper than {MaxDepth} levels.");
            }
        }
    }

    /// <summary>Where it breaks, which is what must be edited; not where the broken construct begins.</summary>
    private static long LineOf(YamlException e, string text)
    {
        if (Math.Max(e.Start.Line, e.End.Line) is > 1 and var line)
        {
            return line;
        }

        // The parser gives no place for the commonest mistake of all, a tab as indentation.
        var number = 1;
        foreach (var each in text.AsSpan().EnumerateLines())
        {
            if (each[..^each.TrimStart(" \t").Length].Contains('\t') && e.Message.Contains("tab", StringComparison.Ordinal))
            {
                return number;
            }

            number++;
        }

        return 1;
    }

    private static string Reason(YamlException e)
    {
        var reason = (e.InnerException as YamlException ?? e).Message.Trim();
        var colon = reason.StartsWith('(') ? reason.IndexOf("): ", StringComparison.Ordinal) : -1;
        reason = colon < 0 ? reason : reason[(colon + 3)..];
        return reason.EndsWith('.') ? reason : reason + ".";
    }

    private static void Read(string file, ManifestNode root, bool inList, List<ParsedDocument> documents)
    {
        var problems = new ProblemList(file);
        if (root is { IsScalar: true, Value: null or "" })
        {
            return; // Nothing between two '---'.
        }

        if (!root.IsMap)
        {
            problems.Refuse(root, $"The document is {YamlMap.Show(root)}. Write an object with apiVersion, kind and metadata.");
            documents.Add(new ParsedDocument(null, null, problems));
            return;
        }

        var map = new YamlMap(root, string.Empty, problems);
        var apiVersion = map.Text("apiVersion", required: true);
        var kind = map.Text("kind", required: true);
        if (kind == "List" && apiVersion == Core && !inList)
        {
            ReadList(file, map, documents);
            return;
        }

        var key = TryKey(map, kind);
        problems.Subject = key?.ToString() ?? string.Empty;
        if (kind is null || apiVersion is null || !IsKnown(map, apiVersion, kind))
        {
            documents.Add(new ParsedDocument(key, null, problems));
            return;
        }

        documents.Add(Read(map, key, kind, problems));
    }

    private static void ReadList(string file, YamlMap list, List<ParsedDocument> documents)
    {
        list.Ignore("metadata");
        if (list.Find("items") is { IsList: true } items)
        {
            foreach (var item in items.Items)
            {
                Read(file, item, inList: true, documents);
            }
        }
        else
        {
            list.Problems.Refuse(list.Find("items") ?? list.Node, "The List has no items. Write its objects as a list below 'items'.");
        }

        list.Close();
        if (list.Problems.All.Count > 0)
        {
            documents.Add(new ParsedDocument(null, null, list.Problems));
        }
    }

    private static bool IsKnown(YamlMap map, string apiVersion, string kind)
    {
        if (!Kinds.TryGetValue(kind, out var known))
        {
            var near = Suggestion.For(kind, KnownKinds);
            map.Problems.Refuse(map.Find("kind")!.Value, $"kind '{kind}' ({apiVersion}) is not read from files and has no effect.{near} Read are {string.Join(", ", KnownKinds)}.");
            return false;
        }

        if (Array.IndexOf(known.ApiVersions, apiVersion) < 0)
        {
            map.Problems.Refuse(map.Find("apiVersion")!.Value, $"apiVersion is '{apiVersion}'. Use '{known.ApiVersions[0]}' for kind {kind}.");
            return false;
        }

        return true;
    }

    private static ManifestKey? TryKey(YamlMap map, string? kind)
    {
        if (kind is null || map.Node.Find("metadata") is not { IsMap: true } meta || meta.Find("name")?.Value is not { Length: > 0 } name)
        {
            return null;
        }

        return new ManifestKey(kind, IsClusterScoped(kind) ? string.Empty : meta.Find("namespace")?.Value is { Length: > 0 } ns ? ns : ObjectMeta.DefaultNamespace, name);
    }

    private static bool IsClusterScoped(string kind) => kind is KubeNodeReader.Kind or NamespaceReader.Kind;
}

/// <summary>A file is no YAML.</summary>
/// <param name="where">File and line.</param>
internal sealed class ManifestSyntaxException(string where, string message) : Exception(message)
{
    public string Where => where;
}
