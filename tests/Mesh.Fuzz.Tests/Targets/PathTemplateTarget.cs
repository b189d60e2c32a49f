using System.Text;
using System.Text.RegularExpressions;
using Mesh.ControlPlane.Translation;
using Mesh.Traffic;

namespace Mesh.Fuzz.Tests.Targets;

/// <summary>A path template and, on the next line, a path. What a template takes here, its expression takes at peers that know no templates.</summary>
internal sealed partial class PathTemplateTarget : IFuzzTarget
{
    public string Name => "path-template";

    public int Iterations => 1_500;

    public IReadOnlyList<byte[]> Corpus { get; } =
    [
        .. new[]
        {
            "/users/{id}/orders/{rest=**}\n/users/7/orders/9/lines/1", "/videos/*/*/*.m4s\n/videos/1/hls/1_0.m4s", "/**.mpd\n/a/b.mpd", "/{name=videos/*}/x\n/videos/a/x", "/{file}.{ext}\n/a.b.c",
            "/a.b+c(d)\n/a.b+c(d)", "/\n/", "/a/**\n/a/", "/***\n/", "/{a={b}}\n/", "/{a}/{b}/{c}/{d}/{e}/{f}\n/1/2/3/4/5/6", "/**/*\n/", "\n",
        }.Select(Encoding.UTF8.GetBytes),
    ];

    public IReadOnlyList<IMutation> Mutations { get; } = [new TextMutation("/", "*", "**", "{", "}", "{id}", "{rest=**}", "=", "a", ".", "\n", "(", ")", "+", "$", "^", "|", "[", "%2F")];

    public string Run(byte[] input)
    {
        var lines = Encoding.UTF8.GetString(input).Split('\n', 2);
        var path = lines.Length > 1 ? lines[1] : "/";
        PathTemplate template;
        try
        {
            template = PathTemplate.Parse(lines[0]);
        }
        catch (FormatException e)
        {
            Holds.That(e.Message.Length is > 0 and < 8192, "it says why");
            return new string([.. e.Message.Where(char.IsAsciiLetter)])[..10];
        }

        Holds.That(template.Text == lines[0] && template.Equals(PathTemplate.Parse(lines[0])), "it is what was read");
        Holds.That(template.Variables.Count <= PathTemplate.MaxVariables && template.Variables.Distinct().Count() == template.Variables.Count, "few variables, each once");
        var matches = template.Matches(path);
        var values = template.Capture(path);
        Holds.That(matches == values is not null, "what matches is captured, and nothing else");
        Holds.That(values is null || (values.Length == template.Variables.Count && values.All(v => path.Contains(v, StringComparison.Ordinal))), "values are parts of the path");
        // Short ones only: the platform's matcher has a limit that peers do not have.
        if (PathCharacters().IsMatch(path) && template.Text.Length < 500)
        {
            var peers = new Regex($@"\A(?:{PathTemplateRegex.Of(template.Text)})\z", RegexOptions.NonBacktracking | RegexOptions.CultureInvariant).IsMatch(path);
            Holds.That(peers == matches, $"'{template}' and '{path}': here {matches}, at peers {peers}");
        }

        return $"{matches} {template.Variables.Count}";
    }

    /// <summary>Paths as they can come in a request (RFC 3986 §3.3).</summary>
    [GeneratedRegex(@"\A(?:/[a-zA-Z0-9._~%!$&'()+,;:@=-]*)+\z", RegexOptions.CultureInvariant)]
    private static partial Regex PathCharacters();
}
