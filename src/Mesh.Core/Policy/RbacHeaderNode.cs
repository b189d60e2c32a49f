using System.Globalization;
using Mesh.Traffic;

namespace Mesh.Policy;

/// <summary>A condition on a header (gRFC A41), with the doubt of repeated headers on the safe side.</summary>
/// <remarks>
/// A header that came in one line is judged as gRFC A41 says. Of several lines the app may read any one, or all: where doubt means yes (rules that deny) the joined
/// value, each line or each of its comma-separated members is enough; where it means no (rules that allow) the joined value and each line must match.
/// </remarks>
internal sealed class RbacHeaderNode : RbacLeaf
{
    private readonly HeaderMatcher _matcher;
    private readonly string _name;
    private readonly bool _isHidden;
    private readonly bool _doubtHolds;

    /// <param name="doubt">What a doubtful value means for the condition as a whole.</param>
    public RbacHeaderNode(HeaderMatcher matcher, bool doubt)
    {
        _name = matcher.Name == "host" ? ":authority" : matcher.Name;
        _isHidden = matcher.Name == "te" || matcher.Name.EndsWith("-bin", StringComparison.Ordinal);
        _doubtHolds = doubt != matcher.Invert;
        // ASP.NET routing takes "post" for POST: a rule that denies POST denies both.
        _matcher = _name == ":method" && _doubtHolds && matcher.Text is { Kind: not StringMatchKind.Regex } text
            ? matcher with { Text = text with { IgnoreCase = true } }
            : matcher;
    }

    public override bool NeedsHead => true;

    public override string Subject => _name switch
    {
        ":method" => "method",
        ":path" => "path with query",
        ":authority" => "host",
        _ => $"header {_name}",
    };

    public override string Wish => _matcher.Kind switch
    {
        HeaderMatchKind.Present => _matcher.Invert ? "it absent" : "it present",
        HeaderMatchKind.Range => string.Create(CultureInfo.InvariantCulture, $"{(_matcher.Invert ? "a number outside of" : "a number in")} [{_matcher.Start}, {_matcher.End})"),
        _ => $"{(_matcher.Invert ? "anything but " : string.Empty)}{RbacWords.Wish(_matcher.Text!)}",
    };

    public override bool Matches(in RbacRequest request)
    {
        if (_isHidden || request.Head is not { } head)
        {
            return _matcher.MatchesValue(null);
        }

        var lines = head.Lines(_name);
        if (lines == 0 || _matcher.Kind == HeaderMatchKind.Present)
        {
            return _matcher.MatchesValue(lines == 0 ? null : string.Empty);
        }

        return Holds(head, lines) != _matcher.Invert;
    }

    public override string Seen(in RbacRequest request)
    {
        var value = _isHidden ? null : request.Head?.Header(_name);
        return value is null ? $"{Subject} is absent"
            : _matcher.Kind == HeaderMatchKind.Present ? $"{Subject} is present"
            : RbacWords.IsSecret(_name) ? $"{Subject} has another value"
            : $"{Subject} is {RbacWords.Quote(value)}";
    }

    private bool Holds(RequestHead head, int lines)
    {
        if (!_doubtHolds)
        {
            // Joining costs an allocation: only of what came in several lines, and only when each of them holds.
            for (var i = 0; lines > 1 && i < lines; i++)
            {
                if (!_matcher.Holds(head.Line(_name, i)))
                {
                    return false;
                }
            }

            return _matcher.Holds(head.Header(_name));
        }

        for (var i = 0; i < lines; i++)
        {
            if (HoldsAnywhere(head.Line(_name, i)))
            {
                return true;
            }
        }

        return lines > 1 && _matcher.Holds(head.Header(_name));
    }

    /// <summary>Of a line as a whole or of a member of its list: RFC 9110 §5.3 lets anyone make one line of several.</summary>
    private bool HoldsAnywhere(ReadOnlySpan<char> line)
    {
        if (_matcher.Holds(line))
        {
            return true;
        }

        if (_name[0] == ':' || !line.Contains(','))
        {
            return false;
        }

        foreach (var member in line.Split(','))
        {
            if (_matcher.Holds(line[member].Trim()))
            {
                return true;
            }
        }

        return false;
    }
}
