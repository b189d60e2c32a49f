using System.Text;
using YamlDotNet.Core;
using YamlDotNet.Core.Events;
using YamlDotNet.RepresentationModel;

namespace Mesh.Cli.Inject;

/// <summary>Changes a YAML text where it must be changed, and nowhere else: comments, order and format stay.</summary>
internal sealed class YamlEdits(string text)
{
    private readonly SortedDictionary<long, (long Length, string Text)> _edits = [];

    /// <summary>Writes annotations into what has or gets metadata.</summary>
    /// <returns>False when the text is written in a way that only writing it anew can change.</returns>
    public bool Annotate(YamlMappingNode pod, IReadOnlyDictionary<string, string> annotations)
    {
        if (Entry(pod, "metadata") is not { } metadata)
        {
            return Add(pod, ["metadata", "annotations"], annotations);
        }

        if (metadata.Value is not YamlMappingNode meta)
        {
            return IsNull(metadata.Value) && Fill(metadata.Key, metadata.Value, $"{{annotations: {{{Flow(annotations)}}}}}");
        }

        if (Entry(meta, "annotations") is not { } found)
        {
            return Add(meta, ["annotations"], annotations);
        }

        if (found.Value is not YamlMappingNode map)
        {
            return IsNull(found.Value) && Fill(found.Key, found.Value, $"{{{Flow(annotations)}}}");
        }

        var added = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var (key, value) in annotations)
        {
            if (Entry(map, key) is not { } existing)
            {
                added[key] = value;
            }
            else if (existing.Value is not YamlScalarNode { Style: ScalarStyle.Plain or ScalarStyle.SingleQuoted or ScalarStyle.DoubleQuoted, Value.Length: > 0 } old
                || (old.Value != value && !Replace(old.Start.Index, old.End.Index - old.Start.Index, Plain(value))))
            {
                return false;
            }
        }

        return added.Count == 0 || Add(map, [], added);
    }

    /// <summary>Removes annotations, and what is empty then.</summary>
    public bool RemoveAnnotations(YamlMappingNode pod, Func<string, bool> which)
    {
        if (Entry(pod, "metadata")?.Value is not YamlMappingNode meta || Entry(meta, "annotations")?.Value is not YamlMappingNode map)
        {
            return true;
        }

        var going = map.Children.Where(c => which((c.Key as YamlScalarNode)?.Value ?? string.Empty)).ToList();
        return going.Count == 0
            || (going.Count < map.Children.Count ? going.TrueForAll(entry => Remove(map, entry.Key))
            : meta.Children.Count > 1 ? Remove(meta, Entry(meta, "annotations")!.Value.Key)
            : Remove(pod, Entry(pod, "metadata")!.Value.Key));
    }

    public string Apply()
    {
        var result = new StringBuilder();
        long at = 0;
        foreach (var (start, (length, replacement)) in _edits)
        {
            result.Append(text, (int)at, (int)(start - at)).Append(replacement);
            at = start + length;
        }

        return result.Append(text, (int)at, text.Length - (int)at).ToString();
    }

    /// <summary>Replaces a part by a text; false when two want the same part.</summary>
    public bool Replace(long start, long length, string replacement)
    {
        if (_edits.TryGetValue(start, out var same))
        {
            // An anchor that is used twice is one place.
            return same == (length, replacement);
        }

        if (_edits.Any(e => e.Key < start + length && start < e.Key + e.Value.Length))
        {
            return false;
        }

        _edits[start] = (length, replacement);
        return true;
    }

    /// <summary>Takes back what was to change between two places.</summary>
    public void Discard(long start, long end)
    {
        foreach (var at in _edits.Keys.Where(k => k >= start && k < end).ToList())
        {
            _edits.Remove(at);
        }
    }

    /// <param name="path">Keys that are made on the way.</param>
    private bool Add(YamlMappingNode map, string[] path, IReadOnlyDictionary<string, string> entries)
    {
        if (map.Style == MappingStyle.Flow)
        {
            var inner = string.Concat(path.Select(p => Quoted(p) + ": {")) + Flow(entries) + new string('}', path.Length);
            var brace = text.IndexOf('{', (int)map.Start.Index);
            return brace >= 0 && Replace(brace + 1, 0, inner + (map.Children.Count > 0 ? ", " : string.Empty));
        }

        if (map.Children.Count == 0)
        {
            return false;
        }

        var first = map.Children.First().Key;
        var indent = new string(' ', (int)first.Start.Column - 1);
        var lines = path.Select((p, i) => new string(' ', 2 * i) + p + ":").Concat(entries.Select(e => $"{new string(' ', 2 * path.Length)}{e.Key}: {Plain(e.Value)}"));
        var newLine = text.Contains("\r\n", StringComparison.Ordinal) ? "\r\n" : "\n";
        return Replace(first.Start.Index, 0, string.Concat(lines.Select(l => l + newLine + indent)));
    }

    /// <summary>Puts a value where a key has none.</summary>
    private bool Fill(YamlNode key, YamlNode value, string flow)
    {
        if (value.End.Index > value.Start.Index)
        {
            return Replace(value.Start.Index, value.End.Index - value.Start.Index, flow);
        }

        var colon = text.IndexOf(':', (int)key.End.Index);
        return colon >= 0 && Replace(colon + 1, 0, " " + flow);
    }

    private bool Remove(YamlMappingNode map, YamlNode key)
    {
        var entries = map.Children.ToList();
        var at = entries.FindIndex(e => ReferenceEquals(e.Key, key));
        var last = LastOf(entries[at].Value, entries[at].Key);
        if (map.Style == MappingStyle.Flow)
        {
            return at + 1 < entries.Count ? Replace(key.Start.Index, entries[at + 1].Key.Start.Index - key.Start.Index, string.Empty)
                : at > 0 ? Replace(LastOf(entries[at - 1].Value, entries[at - 1].Key), last - LastOf(entries[at - 1].Value, entries[at - 1].Key), string.Empty)
                : Replace(key.Start.Index, last - key.Start.Index, string.Empty);
        }

        var line = text.LastIndexOf('\n', Math.Max(0, (int)key.Start.Index - 1)) + 1;
        var end = text.IndexOf('\n', (int)last);
        end = end < 0 ? text.Length : end + 1;
        if (text.AsSpan(line, (int)key.Start.Index - line).IsWhiteSpace())
        {
            return entries.Count > 1 && Replace(line, end - line, string.Empty);
        }

        // It stands behind a dash: the next one takes its place there.
        return at + 1 < entries.Count && Replace(key.Start.Index, entries[at + 1].Key.Start.Index - key.Start.Index, string.Empty);
    }

    /// <summary>Where a value really ends: a block ends where the next one begins, comments included.</summary>
    private static long LastOf(YamlNode value, YamlNode key) => value switch
    {
        YamlMappingNode { Style: not MappingStyle.Flow, Children.Count: > 0 } map => LastOf(map.Children.Last().Value, map.Children.Last().Key),
        YamlSequenceNode { Style: not SequenceStyle.Flow, Children.Count: > 0 } list => LastOf(list.Children[^1], list),
        _ => Math.Max(value.End.Index, value.End.Index > value.Start.Index ? 0 : key.End.Index),
    };

    private static (YamlNode Key, YamlNode Value)? Entry(YamlMappingNode map, string name)
    {
        foreach (var (key, value) in map.Children)
        {
            if (key is YamlScalarNode { Value: { } text } && text == name)
            {
                return (key, value);
            }
        }

        return null;
    }

    private static bool IsNull(YamlNode value) => value is YamlScalarNode { Style: ScalarStyle.Plain, Value: null or "" or "~" or "null" };

    private static string Plain(string value) => value.Length > 0 && value.All(char.IsAsciiLetter) && value is not ("true" or "false" or "yes" or "no" or "on" or "off" or "null" or "y" or "n") ? value : Quoted(value);

    private static string Flow(IReadOnlyDictionary<string, string> entries) => string.Join(", ", entries.Select(e => $"{Quoted(e.Key)}: {Quoted(e.Value)}"));

    /// <summary>JSON's way, which is YAML too.</summary>
    private static string Quoted(string value) => System.Text.Json.JsonSerializer.Serialize(value, Json);

    private static readonly System.Text.Json.JsonSerializerOptions Json = new() { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping };
}
