using System.Collections.Immutable;
using System.Globalization;
using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace Mesh.ControlPlane.Sources.Manifests;

/// <summary>Reads the fields of one YAML mapping and reports what is missing, of the wrong kind, or unknown.</summary>
/// <remarks>What was asked for or ignored is known; <see cref="Close"/> reports the rest. Not thread-safe.</remarks>
internal sealed class YamlMap(YamlMappingNode node, string path, ProblemList problems)
{
    private readonly HashSet<string> _known = new(StringComparer.Ordinal);

    public YamlMappingNode Node => node;

    public ProblemList Problems => problems;

    public string Where => problems.Where(node);

    /// <summary>The node under a key, null when it is absent or <c>null</c>.</summary>
    public YamlNode? Find(string key)
    {
        _known.Add(key);
        problems.Asked?.Invoke(Field(key));
        return node.Children.TryGetValue(new YamlScalarNode(key), out var value) && !IsNull(value) ? value : null;
    }

    /// <summary>The path of a field, as people write it.</summary>
    public string Field(string key) => path.Length == 0 ? key : $"{path}.{key}";

    /// <summary>Fields of the API that we do not need.</summary>
    public void Ignore(params ReadOnlySpan<string> keys)
    {
        foreach (var key in keys)
        {
            _known.Add(key);
        }
    }

    public void Missing(string key, string hint) => problems.Refuse(node, $"{Field(key)} is missing. {hint}");

    public void Bad(string key, string value, string fix) => problems.Refuse(Find(key) ?? node, $"{Field(key)} is '{Shorten(value)}'. {fix}");

    public string? Text(string key, bool required = false)
    {
        var value = Find(key);
        if (value is null)
        {
            if (required)
            {
                Missing(key, "Add it.");
            }

            return null;
        }

        return Scalar(value, Field(key));
    }

    /// <summary>A text that must be one of a few words.</summary>
    public string? Word(string key, string? fallback, params string[] allowed)
    {
        var text = Text(key, required: fallback is null);
        if (text is null)
        {
            return Find(key) is null ? fallback : null;
        }

        if (Array.IndexOf(allowed, text) < 0)
        {
            Bad(key, text, $"Use {string.Join(", ", allowed)}.{Suggestion.For(text, allowed)}");
            return null;
        }

        return text;
    }

    public int? Integer(string key, int min, int max, bool required = false)
    {
        var value = Find(key);
        if (value is null)
        {
            if (required)
            {
                Missing(key, $"Add a number {Range(min, max)}.");
            }

            return null;
        }

        if (value is YamlScalarNode { Style: ScalarStyle.Plain } scalar
            && int.TryParse(scalar.Value, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number) && number >= min && number <= max)
        {
            return number;
        }

        var quoted = value is YamlScalarNode { Style: not ScalarStyle.Plain } text && int.TryParse(text.Value, CultureInfo.InvariantCulture, out _);
        problems.Refuse(value, $"{Field(key)} is {Show(value)}. Use a whole number {Range(min, max)}{(quoted ? " without quotes" : string.Empty)}.");
        return null;
    }

    public bool? Flag(string key)
    {
        var value = Find(key);
        if (value is null)
        {
            return null;
        }

        if (value is YamlScalarNode { Style: ScalarStyle.Plain, Value: "true" or "True" or "TRUE" or "false" or "False" or "FALSE" } flag)
        {
            return flag.Value is "true" or "True" or "TRUE";
        }

        problems.Refuse(value, $"{Field(key)} is {Show(value)}. Use true or false.");
        return null;
    }

    public YamlMap? Map(string key, bool required = false)
    {
        var value = Find(key);
        if (value is null)
        {
            if (required)
            {
                Missing(key, "Add it.");
            }

            return null;
        }

        if (value is YamlMappingNode map)
        {
            return new YamlMap(map, Field(key), problems);
        }

        problems.Refuse(value, $"{Field(key)} is {Show(value)}. Write fields below it ('name: value').");
        return null;
    }

    /// <summary>The mappings of a list.</summary>
    public IReadOnlyList<YamlMap> Maps(string key)
    {
        var maps = new List<YamlMap>();
        foreach (var (item, itemPath) in Items(key))
        {
            if (item is YamlMappingNode map)
            {
                maps.Add(new YamlMap(map, itemPath, problems));
            }
            else
            {
                problems.Refuse(item, $"{itemPath} is {Show(item)}. Write fields there ('- name: value').");
            }
        }

        return maps;
    }

    /// <summary>The texts of a list, with their nodes.</summary>
    public IReadOnlyList<(string Text, YamlNode Node, string Path)> Texts(string key)
    {
        var texts = new List<(string, YamlNode, string)>();
        foreach (var (item, itemPath) in Items(key))
        {
            if (Scalar(item, itemPath) is { } text)
            {
                texts.Add((text, item, itemPath));
            }
        }

        return texts;
    }

    /// <summary>A mapping of texts to texts, such as labels.</summary>
    public ImmutableSortedDictionary<string, string> TextMap(string key)
    {
        var result = ImmutableSortedDictionary.CreateBuilder<string, string>(StringComparer.Ordinal);
        if (Map(key) is not { } map)
        {
            return result.ToImmutable();
        }

        foreach (var (name, value) in map.Node.Children)
        {
            if (Scalar(name, Field(key)) is { } k && Scalar(value, $"{Field(key)}.{k}") is { } v)
            {
                result[k] = v;
            }
        }

        return result.ToImmutable();
    }

    /// <summary>Reports the fields that nobody asked for.</summary>
    public void Close()
    {
        foreach (var (key, _) in node.Children)
        {
            var name = (key as YamlScalarNode)?.Value ?? "?";
            if (!_known.Contains(name))
            {
                problems.Refuse(key, $"{Field(Shorten(name))} is not a field.{Suggestion.For(name, _known.Order(StringComparer.Ordinal))} Correct or remove it.");
            }
        }
    }

    public static string Show(YamlNode value) => value switch
    {
        YamlScalarNode scalar => $"'{Shorten(scalar.Value)}'",
        YamlSequenceNode => "a list",
        _ => "a mapping",
    };

    private IEnumerable<(YamlNode Item, string Path)> Items(string key)
    {
        var value = Find(key);
        if (value is null)
        {
            yield break;
        }

        if (value is not YamlSequenceNode list)
        {
            problems.Refuse(value, $"{Field(key)} is {Show(value)}. Write a list ('- …').");
            yield break;
        }

        for (var i = 0; i < list.Children.Count; i++)
        {
            yield return (list.Children[i], $"{Field(key)}[{i}]");
        }
    }

    private string? Scalar(YamlNode value, string field)
    {
        if (value is not YamlScalarNode scalar)
        {
            problems.Refuse(value, $"{field} is {Show(value)}. Use text.");
            return null;
        }

        // The API server takes no number or boolean where it wants text.
        if (scalar.Style == ScalarStyle.Plain && (IsNull(scalar) || bool.TryParse(scalar.Value, out _) || IsNumber(scalar.Value!)))
        {
            problems.Refuse(value, $"{field} is {Show(value)}, which YAML reads as no text. Put it in quotes: \"{scalar.Value}\".");
            return null;
        }

        return scalar.Value ?? string.Empty;
    }

    private static bool IsNull(YamlNode value) => value is YamlScalarNode { Style: ScalarStyle.Plain, Value: null or "" or "~" or "null" or "Null" or "NULL" };

    private static bool IsNumber(string text) =>
        !char.IsAsciiLetter(text.TrimStart('-', '+').FirstOrDefault()) && double.TryParse(text, CultureInfo.InvariantCulture, out _);

    private static string Range(int min, int max) => max == int.MaxValue ? $"of {min} or more" : $"from {min} to {max}";

    private static string Shorten(string? text) => text is null ? string.Empty : text.Length <= 60 ? text : text[..60] + "…";
}
