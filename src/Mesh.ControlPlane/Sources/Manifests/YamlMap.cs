using System.Collections.Immutable;
using System.Globalization;

namespace Mesh.ControlPlane.Sources.Manifests;

/// <summary>Reads the fields of one mapping and reports what is missing, of the wrong kind, or unknown.</summary>
/// <remarks>What was asked for or ignored is known; <see cref="Close"/> reports the rest. Not thread-safe.</remarks>
internal sealed class YamlMap(ManifestNode node, string path, ProblemList problems)
{
    private readonly HashSet<string> _known = new(StringComparer.Ordinal);

    public ManifestNode Node => node;

    public ProblemList Problems => problems;

    public string Where => problems.Where(node);

    /// <summary>The node under a key, null when it is absent or <c>null</c>.</summary>
    public ManifestNode? Find(string key)
    {
        _known.Add(key);
        problems.Asked?.Invoke(Field(key));
        return node.Find(key);
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
        if (Find(key) is not { } value)
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
            if (problems.Lenient)
            {
                problems.Note(Find(key)!.Value, $"{Field(key)} is '{Shorten(text)}', which is not known here and is left out. Known are {string.Join(", ", allowed)}.");
                return null;
            }

            Bad(key, text, $"Use {string.Join(", ", allowed)}.{Suggestion.For(text, allowed)}");
            return null;
        }

        return text;
    }

    public int? Integer(string key, int min, int max, bool required = false)
    {
        if (Find(key) is not { } value)
        {
            if (required)
            {
                Missing(key, $"Add a number {Range(min, max)}.");
            }

            return null;
        }

        if (value.Plain is { } plain
            && int.TryParse(plain, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number) && number >= min && number <= max)
        {
            return number;
        }

        var quoted = value.Plain is null && int.TryParse(value.Value, CultureInfo.InvariantCulture, out _);
        problems.Refuse(value, $"{Field(key)} is {Show(value)}. Use a whole number {Range(min, max)}{(quoted ? " without quotes" : string.Empty)}.");
        return null;
    }

    public bool? Flag(string key)
    {
        if (Find(key) is not { } value)
        {
            return null;
        }

        if (value.Plain is "true" or "True" or "TRUE" or "false" or "False" or "FALSE")
        {
            return value.Plain is "true" or "True" or "TRUE";
        }

        problems.Refuse(value, $"{Field(key)} is {Show(value)}. Use true or false.");
        return null;
    }

    public YamlMap? Map(string key, bool required = false)
    {
        if (Find(key) is not { } value)
        {
            if (required)
            {
                Missing(key, "Add it.");
            }

            return null;
        }

        if (value.IsMap)
        {
            return new YamlMap(value, Field(key), problems);
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
            if (item.IsMap)
            {
                maps.Add(new YamlMap(item, itemPath, problems));
            }
            else
            {
                problems.Refuse(item, $"{itemPath} is {Show(item)}. Write fields there ('- name: value').");
            }
        }

        return maps;
    }

    /// <summary>The texts of a list, with their nodes.</summary>
    public IReadOnlyList<(string Text, ManifestNode Node, string Path)> Texts(string key)
    {
        var texts = new List<(string, ManifestNode, string)>();
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

        foreach (var (name, value) in map.Node.Fields)
        {
            if (Scalar(name, Field(key)) is { } k && Scalar(value, $"{Field(key)}.{k}") is { } v)
            {
                result[k] = v;
            }
        }

        return result.ToImmutable();
    }

    /// <summary>Reports the fields that nobody asked for; of a newer API server's own kinds there may be some.</summary>
    public void Close()
    {
        if (problems.Lenient)
        {
            return;
        }

        foreach (var (key, _) in node.Fields)
        {
            var name = key.Value ?? "?";
            if (!_known.Contains(name))
            {
                problems.Refuse(key, $"{Field(Shorten(name))} is not a field.{Suggestion.For(name, _known.Order(StringComparer.Ordinal))} Correct or remove it.");
            }
        }
    }

    public static string Show(ManifestNode value) => value.IsScalar ? $"'{Shorten(value.Value)}'" : value.IsList ? "a list" : "a mapping";

    private IEnumerable<(ManifestNode Item, string Path)> Items(string key)
    {
        if (Find(key) is not { } value)
        {
            yield break;
        }

        if (!value.IsList)
        {
            problems.Refuse(value, $"{Field(key)} is {Show(value)}. Write a list ('- …').");
            yield break;
        }

        var i = 0;
        foreach (var item in value.Items)
        {
            yield return (item, $"{Field(key)}[{i++}]");
        }
    }

    private string? Scalar(ManifestNode value, string field)
    {
        if (!value.IsScalar)
        {
            problems.Refuse(value, $"{field} is {Show(value)}. Use text.");
            return null;
        }

        // The API server takes no number or boolean where it wants text.
        if (value.Plain is { } plain && (value.IsNull || bool.TryParse(plain, out _) || IsNumber(plain)))
        {
            problems.Refuse(value, $"{field} is {Show(value)}, which YAML reads as no text. Put it in quotes: \"{plain}\".");
            return null;
        }

        return value.Value ?? string.Empty;
    }

    private static bool IsNumber(string text) =>
        !char.IsAsciiLetter(text.TrimStart('-', '+').FirstOrDefault()) && double.TryParse(text, CultureInfo.InvariantCulture, out _);

    private static string Range(int min, int max) => max == int.MaxValue ? $"of {min} or more" : $"from {min} to {max}";

    private static string Shorten(string? text) => text is null ? string.Empty : text.Length <= 60 ? text : text[..60] + "…";
}
