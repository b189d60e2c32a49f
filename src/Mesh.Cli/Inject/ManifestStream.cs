using System.Globalization;
using System.Text.Json.Nodes;
using Mesh.ControlPlane.Injector;
using Mesh.ControlPlane.Install;
using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace Mesh.Cli.Inject;

/// <summary>A text of manifests, and what is done with the pods in it. What is no workload passes as it is.</summary>
internal sealed class ManifestStream
{
    private readonly string _text;
    private readonly YamlEdits _edits;
    private readonly List<YamlDocument> _documents = [];

    /// <param name="file">As it shall stand in messages.</param>
    /// <exception cref="CliException">The text is no YAML.</exception>
    public ManifestStream(string file, string text)
    {
        (_text, _edits) = (text, new YamlEdits(text));
        try
        {
            var yaml = new YamlStream();
            yaml.Load(new StringReader(text));
            _documents.AddRange(yaml.Documents);
        }
        catch (Exception e) when (e is YamlException or ArgumentException or InvalidOperationException)
        {
            throw NoYaml(file, e);
        }

        foreach (var ns in Manifests().Where(m => PodTemplates.Text(m, "kind") == "Namespace" && PodTemplates.Text(m, "apiVersion") == "v1"))
        {
            if (Name(ns) is { } name && YamlJson.Of(ns) is JsonObject read)
            {
                Namespaces[name] = NamespaceMeta.Of(name, read);
            }
        }
    }

    /// <summary>Namespaces that stand in the text itself.</summary>
    public Dictionary<string, NamespaceMeta> Namespaces { get; } = new(StringComparer.Ordinal);

    /// <summary>Goes through all objects; what <paramref name="change"/> says becomes of a pod is done.</summary>
    public void ForEach(Func<ManifestPod, PodChange> change, Action<string> pass)
    {
        foreach (var document in _documents)
        {
            var anew = false;
            foreach (var manifest in PodTemplates.Objects(document.RootNode))
            {
                var subject = $"{PodTemplates.Text(manifest, "kind")?.ToLowerInvariant() ?? "object"}/{Name(manifest) ?? "?"}";
                if (PodTemplates.Find(manifest) is not { } template || YamlJson.Of(template) is not JsonObject pod)
                {
                    pass(subject);
                    continue;
                }

                var meta = PodTemplates.Child(manifest, "metadata") as YamlMappingNode;
                var ns = PodTemplates.Text(meta, "namespace") is { Length: > 0 } given ? given : "default";
                var changed = change(new ManifestPod(subject, new Workload(PodTemplates.Text(manifest, "kind")!, Name(manifest) ?? string.Empty), Namespaces.GetValueOrDefault(ns) ?? NamespaceMeta.Bare(ns), pod));
                if (changed.Edit is { } edit && !anew && edit(_edits, template))
                {
                    continue;
                }

                if (changed.Pod is { } replaced)
                {
                    Put(template, replaced);
                    anew = true;
                }
            }

            if (anew)
            {
                Rewrite(document);
            }
        }
    }

    public string Text => _edits.Apply();

    private static string? Name(YamlMappingNode manifest) => PodTemplates.Text(PodTemplates.Child(manifest, "metadata") as YamlMappingNode, "name");

    private static CliException NoYaml(string file, Exception e)
    {
        var line = e is YamlException yaml ? string.Create(CultureInfo.InvariantCulture, $":{Math.Max(yaml.Start.Line, 1)}") : string.Empty;
        return new CliException(ExitCodes.BadInput, $"{file}{line} is no valid YAML", e.Message, "correct the line; nothing was written", e);
    }

    private IEnumerable<YamlMappingNode> Manifests() => _documents.SelectMany(d => PodTemplates.Objects(d.RootNode));

    private static void Put(YamlMappingNode template, JsonObject pod)
    {
        var yaml = new YamlStream();
        yaml.Load(new StringReader(YamlJson.Write(pod)));
        template.Children.Clear();
        foreach (var (key, value) in ((YamlMappingNode)yaml.Documents[0].RootNode).Children)
        {
            template.Children.Add(key, value);
        }
    }

    /// <summary>Up to the next document's mark, which stays.</summary>
    private void Rewrite(YamlDocument document)
    {
        var start = document.RootNode.Start.Index;
        var end = Math.Min(document.RootNode.End.Index, _text.Length);
        var next = _documents.IndexOf(document) + 1 < _documents.Count ? _text.LastIndexOf("\n---", (int)_documents[_documents.IndexOf(document) + 1].RootNode.Start.Index, StringComparison.Ordinal) + 1 : _text.Length;
        end = next > start ? Math.Max(next, end) : end;
        _edits.Discard(start, end);
        _edits.Replace(start, end - start, YamlJson.Write(YamlJson.Of(document.RootNode)));
    }
}

/// <summary>A pod that a manifest describes.</summary>
/// <param name="Subject">As it stands in reports: <c>deployment/web</c>.</param>
/// <param name="Pod">Metadata and spec.</param>
internal sealed record ManifestPod(string Subject, Workload Workload, NamespaceMeta Namespace, JsonObject Pod);

/// <summary>What becomes of it.</summary>
/// <param name="Edit">Does it in the text; false when it can't. Null: the document is written anew.</param>
/// <param name="Pod">What is written then; null: it stays as it is.</param>
internal sealed record PodChange(Func<YamlEdits, YamlMappingNode, bool>? Edit, JsonObject? Pod)
{
    public static readonly PodChange None = new(null, null);
}
