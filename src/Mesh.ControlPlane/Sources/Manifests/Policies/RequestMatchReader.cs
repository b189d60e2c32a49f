using System.Text.RegularExpressions;
using Mesh.ControlPlane.Model.Policies;

namespace Mesh.ControlPlane.Sources.Manifests.Policies;

/// <summary>Reads one entry of a rule's <c>to</c>.</summary>
internal static partial class RequestMatchReader
{
    private const int MaxPath = 1024;
    private const int MaxValue = 1024;

    public static RequestMatch Read(YamlMap to)
    {
        var match = new RequestMatch
        {
            Methods = ListFields.Texts(to, "methods", MethodProblem),
            Paths = ListFields.Texts(to, "paths", PathProblem),
            Hosts = ListFields.Texts(to, "hosts", HostProblem),
            Headers = [.. ListFields.Maps(to, "headers").Select(ReadHeader).OfType<HeaderCondition>()],
            Ports = ListFields.Ports(to, "ports"),
            Grpc = [.. ListFields.Maps(to, "grpc").Select(ReadGrpc).OfType<GrpcMatch>()],
        };
        to.Close();
        if (match.Conditions == 0 && !to.Problems.Refused)
        {
            to.Problems.Refuse(to.Node, $"{to.Field("methods")} and the others are missing: the entry names nothing. Add a field such as paths, or remove 'to' for any request.");
        }

        if (match.Grpc.Length > 0 && match.Paths.Length > 0)
        {
            to.Problems.Refuse(to.Find("grpc")!.Value, $"{to.Field("grpc")} and paths are both about the path. Keep one, or use two entries of 'to'.");
        }

        return match;
    }

    private static string? MethodProblem(string text) =>
        text.Length > 32 || !ListFields.IsToken(text) ? "Use a method such as GET."
        : text.Any(char.IsAsciiLetterLower) ? $"Methods are upper case: write {text.ToUpperInvariant()}."
        : text == "*" ? "Remove methods for every method."
        : null;

    private static string? PathProblem(string text)
    {
        if (!text.StartsWith('/') || text.Length > MaxPath)
        {
            return $"Start it with '/', at most {MaxPath} characters.";
        }

        if (text.AsSpan().IndexOfAny('?', '#') >= 0)
        {
            return "A path has no query and no fragment: rules don't see them.";
        }

        if (text.Any(c => c is <= ' ' or >= '\x7f' or '\\' or '"' or '<' or '>' or '^' or '`' or '{' or '|' or '}'))
        {
            return "Write it as it goes over the wire: other characters are percent-encoded, and '\\' is in no path after normalisation.";
        }

        var segments = text[1..].Split('/');
        for (var i = 0; i < segments.Length; i++)
        {
            var segment = segments[i];
            if (segment is "." or ".." || (segment.Length == 0 && i < segments.Length - 1))
            {
                return "It has an empty or a dot segment, which no request path has after normalisation.";
            }

            if (segment.Contains('*', StringComparison.Ordinal) && segment != "*")
            {
                return "'*' stands for one whole segment, and at the end for everything below: use /a/*/b or /a/*.";
            }
        }

        return EscapeProblem(text);
    }

    /// <summary>What normalisation decodes, or refuses, is in no path that a rule sees (RFC 3986 §6.2.2).</summary>
    private static string? EscapeProblem(string text)
    {
        for (var i = text.IndexOf('%', StringComparison.Ordinal); i >= 0; i = text.IndexOf('%', i + 1))
        {
            if (i + 2 >= text.Length || !char.IsAsciiHexDigitUpper(text[i + 1]) || !char.IsAsciiHexDigitUpper(text[i + 2]))
            {
                return "Write percent-encodings with two upper-case digits, such as %C3%A9.";
            }

            var c = (char)Convert.ToByte(text.Substring(i + 1, 2), 16);
            if (char.IsAsciiLetterOrDigit(c) || c is '-' or '.' or '_' or '~' or '/' or '\\' or '*' or '%' || char.IsControl(c))
            {
                return $"'{text.Substring(i, 3)}' is in no path after normalisation: write {(c is '/' or '\\' or '*' or '%' || char.IsControl(c) ? "a path without it" : $"'{c}'")}.";
            }
        }

        // What is not UTF-8 stays encoded, and no request with it is taken.
        return Uri.UnescapeDataString(text).Contains('%', StringComparison.Ordinal) ? "Its percent-encodings are not UTF-8: no request has such a path after normalisation." : null;
    }

    private static string? HostProblem(string text) =>
        text.Any(char.IsAsciiLetterUpper) ? $"Hosts are lower case: write {text.ToLowerInvariant()}."
        : text.EndsWith('.') ? $"Write it without the dot at the end: {text.TrimEnd('.')}."
        : text.Contains(':', StringComparison.Ordinal) ? "Write it without a port: a rule holds for every port of the host."
        : text.Contains('*', StringComparison.Ordinal) ? "Wildcards are not known here: name each host, at most 64."
        : Names.IsSubdomain(text) ? null
        : "Use a DNS name such as catalog.shop or an IPv4 address. " + Names.SubdomainRule;

    private static HeaderCondition? ReadHeader(YamlMap header)
    {
        var type = header.Word("type", nameof(HeaderConditionType.Exact), Enum.GetNames<HeaderConditionType>());
        var name = header.Text("name", required: true)?.ToLowerInvariant();
        var value = header.Text("value");
        header.Close();
        if (name is not null && ListFields.HeaderProblem(name) is { } problem)
        {
            header.Bad("name", name, problem);
        }

        if (type == nameof(HeaderConditionType.Present))
        {
            if (value is not null)
            {
                header.Bad("value", value, "With type: Present any value will do: remove one of the two.");
            }
        }
        else if (type is not null && value is null && header.Find("value") is null)
        {
            header.Missing("value", "Add it, or use type: Present.");
        }
        else if (type == nameof(HeaderConditionType.RegularExpression))
        {
            ListFields.Regex(header, "value", value ?? string.Empty);
        }
        else if (value is { } text && (text.Length is 0 or > MaxValue || text != text.Trim() || text.Any(char.IsControl)))
        {
            header.Bad("value", text, $"Use 1–{MaxValue} characters without control characters, and no blank at either end: none arrives.");
        }

        return name is null || type is null ? null : new HeaderCondition(name, Enum.Parse<HeaderConditionType>(type), value ?? string.Empty);
    }

    private static GrpcMatch? ReadGrpc(YamlMap grpc)
    {
        var service = grpc.Text("service", required: true);
        var method = grpc.Text("method");
        grpc.Close();
        if (service is not null && !Service().IsMatch(service))
        {
            grpc.Bad("service", service, "Use a full protobuf service name such as shop.v1.Cart.");
        }

        if (method is not null && !Method().IsMatch(method))
        {
            grpc.Bad("method", method, "Use a protobuf method name such as GetCart, or remove it for all of the service.");
        }

        return service is null ? null : new GrpcMatch(service, method);
    }

    [GeneratedRegex(@"\A[A-Za-z_][A-Za-z_0-9]*(\.[A-Za-z_][A-Za-z_0-9]*)*\z")]
    private static partial Regex Service();

    [GeneratedRegex(@"\A[A-Za-z_][A-Za-z_0-9]*\z")]
    private static partial Regex Method();
}
