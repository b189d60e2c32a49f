using System.Globalization;
using System.Text;
using Google.Protobuf.Collections;
using Mesh.ControlPlane.Model;
using Mesh.Protos.Envoy.Core;
using Mesh.Protos.Envoy.Matcher;
using Mesh.Protos.Envoy.Route;
using Mesh.Protos.Envoy.Type;
using static Mesh.Protos.Envoy.Core.HeaderValueOption.Types;
using Route = Mesh.Protos.Envoy.Route.Route;

namespace Mesh.ControlPlane.Translation;

/// <summary>Writes a rule's filters for peers that can do them: ours. gRPC clients that are not ours get none of them.</summary>
internal static class FilterTranslator
{
    /// <summary>Makes the route answer by itself, as its rule says.</summary>
    /// <param name="parentPort">The port that was called.</param>
    public static void Answer(Route route, MatchedRule rule, int parentPort)
    {
        var filters = rule.Rule.Filters;
        AddHeaders(filters.ResponseHeaders, route.ResponseHeadersToAdd, route.ResponseHeadersToRemove);
        if (filters.Direct is { } direct)
        {
            route.DirectResponse = new DirectResponseAction { Status = (uint)direct.Status, Body = new DataSource { InlineString = direct.Body } };
            if (direct.ContentType is { } type)
            {
                route.ResponseHeadersToAdd.Add(Header("content-type", type, HeaderAppendAction.OverwriteIfExistsOrAdd));
            }
        }
        else
        {
            route.Redirect = Redirect(filters.Redirect!, rule.Match, parentPort);
        }
    }

    /// <summary>Changes of what a forwarding route sends and gets, and its copies.</summary>
    public static void Apply(Route route, MatchedRule rule, ResourceNames names)
    {
        var filters = rule.Rule.Filters;
        AddHeaders(filters.RequestHeaders, route.RequestHeadersToAdd, route.RequestHeadersToRemove);
        AddHeaders(filters.ResponseHeaders, route.ResponseHeadersToAdd, route.ResponseHeadersToRemove);
        if (filters.Rewrite?.Hostname is { } host)
        {
            route.Route_.HostRewriteLiteral = host;
        }

        if (filters.Rewrite?.Path is { } path)
        {
            var (prefix, regex) = Path(path, rule.Match);
            (route.Route_.PrefixRewrite, route.Route_.RegexRewrite) = (prefix ?? string.Empty, regex);
        }

        route.Route_.RequestMirrorPolicies.AddRange(filters.Mirrors.Where(m => m.PerMillion > 0).Select(m => new RouteAction.Types.RequestMirrorPolicy
        {
            Cluster = names.Cluster(m.Backend.Service, m.Backend.Port),
            RuntimeFraction = new RuntimeFractionalPercent
            {
                DefaultValue = new FractionalPercent { Numerator = (uint)m.PerMillion, Denominator = FractionalPercent.Types.DenominatorType.Million },
            },
        }));
        if (rule.Rule.Session is { } session)
        {
            SessionTranslator.Apply(route, session);
        }
    }

    public static void AddHeaders(HeaderModifier? modifier, RepeatedField<HeaderValueOption> add, RepeatedField<string> remove)
    {
        if (modifier is null)
        {
            return;
        }

        add.AddRange(modifier.Set.Select(h => Header(h.Name, h.Value, HeaderAppendAction.OverwriteIfExistsOrAdd)));
        add.AddRange(modifier.Add.Select(h => Header(h.Name, h.Value, HeaderAppendAction.AppendIfExistsOrAdd)));
        remove.AddRange(modifier.Remove);
    }

    // A percent sign begins a variable there.
    private static HeaderValueOption Header(string name, string value, HeaderAppendAction action) => new()
    {
        Header = new HeaderValue { Key = name, Value = value.Replace("%", "%%", StringComparison.Ordinal) },
        AppendAction = action,
    };

    private static RedirectAction Redirect(RequestRedirect redirect, RuleMatch match, int parentPort)
    {
        var action = new RedirectAction
        {
            HostRedirect = redirect.Hostname ?? string.Empty,
            // Gateway API: the scheme's own port, without a scheme the one that was called.
            PortRedirect = (uint)(redirect.Port ?? redirect.Scheme switch { "https" => 443, "http" => 80, _ => parentPort }),
            ResponseCode = redirect.StatusCode switch
            {
                301 => RedirectAction.Types.RedirectResponseCode.MovedPermanently,
                303 => RedirectAction.Types.RedirectResponseCode.SeeOther,
                307 => RedirectAction.Types.RedirectResponseCode.TemporaryRedirect,
                308 => RedirectAction.Types.RedirectResponseCode.PermanentRedirect,
                _ => RedirectAction.Types.RedirectResponseCode.Found,
            },
        };
        if (redirect.Scheme is { } scheme)
        {
            action.SchemeRedirect = scheme;
        }

        if (redirect.Path is { IsPrefix: false } whole)
        {
            action.PathRedirect = whole.Value;
        }
        else if (redirect.Path is { } path)
        {
            var (prefix, regex) = Path(path, match);
            if (regex is not null)
            {
                action.RegexRewrite = regex;
            }
            else
            {
                action.PrefixRewrite = prefix!;
            }
        }

        return action;
    }

    /// <summary>Gateway API, HTTPPathModifier: whole segments, and never two slashes where prefix and rest meet.</summary>
    private static (string? Prefix, RegexMatchAndSubstitute? Regex) Path(PathModifier path, RuleMatch match)
    {
        // A path template of a MatchPolicy takes the whole path.
        if (!path.IsPrefix || match.Path is { Kind: not PathMatchKind.PathPrefix })
        {
            return (null, Replace("^.*$", path.Value));
        }

        var taken = match.Path?.Value.TrimEnd('/') ?? string.Empty;
        var replacement = path.Value.TrimEnd('/');
        return taken.Length == 0 ? (replacement + "/", null)
            : replacement.Length == 0 ? (null, Replace($"^{Escape(taken)}/*", "/"))
            : (replacement, null);
    }

    private static RegexMatchAndSubstitute Replace(string pattern, string text) => new()
    {
        Pattern = new RegexMatcher { GoogleRe2 = new Google.Protobuf.WellKnownTypes.Empty(), Regex = pattern },
        Substitution = text.Replace("\\", "\\\\", StringComparison.Ordinal),
    };

    /// <summary>RE2: a backslash before punctuation makes it plain.</summary>
    private static string Escape(string text)
    {
        var result = new StringBuilder();
        foreach (var c in text)
        {
            _ = char.IsAscii(c) && !char.IsAsciiLetterOrDigit(c) && c is not ('/' or '_' or '-' or ' ') ? result.Append(CultureInfo.InvariantCulture, $"\\{c}") : result.Append(c);
        }

        return result.ToString();
    }
}
