using System.Globalization;
using System.Text.RegularExpressions;

namespace Shop;

/// <summary>The mesh's YAML: templates in <c>mesh/</c>, filled with the ports of this run.</summary>
internal static partial class Manifests
{
    /// <summary>Replaces every <c>${name}</c> by its port.</summary>
    /// <exception cref="ShopException">A name has no port.</exception>
    public static string Fill(string template, string file, IReadOnlyDictionary<string, int> ports) =>
        Placeholder().Replace(template, match => ports.TryGetValue(match.Groups[1].Value, out var port)
            ? port.ToString(CultureInfo.InvariantCulture)
            : throw new ShopException($"{file} names {match.Value}, but no replica is called so. Known are {string.Join(", ", ports.Keys)}."));

    public static void CopyAll(string templates, string target, IReadOnlyDictionary<string, int> ports)
    {
        Directory.CreateDirectory(target);
        foreach (var file in Directory.EnumerateFiles(templates, "*.yaml"))
        {
            // Comments are for the template's reader, and a placeholder in them only an example. Their lines stay: file and line in what the mesh says are true of both.
            File.WriteAllText(Path.Combine(target, Path.GetFileName(file)), Fill(WithoutComments(File.ReadAllText(file)), file, ports));
        }
    }

    /// <summary>Sets the weight of one backend in the text of a route.</summary>
    /// <exception cref="ShopException">The text has no such backend with a weight.</exception>
    public static string SetWeight(string yaml, string backend, int weight)
    {
        var pattern = new Regex($@"(- name: {Regex.Escape(backend)}\s+port: \d+\s+weight: )\d+");
        return pattern.IsMatch(yaml)
            ? pattern.Replace(yaml, $"${{1}}{weight.ToString(CultureInfo.InvariantCulture)}")
            : throw new ShopException($"No backendRef '{backend}' with port and weight was found in the route. Restore it from samples/Shop/mesh/pricing.yaml.");
    }

    private static string WithoutComments(string yaml) =>
        string.Join('\n', yaml.Split('\n').Select(line => line.StartsWith('#') ? "#" : line));

    [GeneratedRegex(@"\$\{([a-z0-9-]+)\}")]
    private static partial Regex Placeholder();
}
