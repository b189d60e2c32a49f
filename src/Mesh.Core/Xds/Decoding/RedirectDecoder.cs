using System.Globalization;
using Mesh.Config;
using Wire = Mesh.Protos.Envoy.Route;

namespace Mesh.Xds.Decoding;

/// <summary>Routes that answer with another place.</summary>
internal static class RedirectDecoder
{
    public static RouteAction.Redirect Decode(Wire.RedirectAction given, string path, DecodeErrors errors)
    {
        var status = given.ResponseCode switch
        {
            Wire.RedirectAction.Types.RedirectResponseCode.MovedPermanently => 301,
            Wire.RedirectAction.Types.RedirectResponseCode.Found => 302,
            Wire.RedirectAction.Types.RedirectResponseCode.SeeOther => 303,
            Wire.RedirectAction.Types.RedirectResponseCode.TemporaryRedirect => 307,
            Wire.RedirectAction.Types.RedirectResponseCode.PermanentRedirect => 308,
            _ => 0,
        };
        if (status == 0)
        {
            errors.Add($"{path}.response_code", $"is {(int)given.ResponseCode}", "Use one of the named codes.");
        }

        var (host, port) = Host(given, path, errors);
        return new RouteAction.Redirect(status)
        {
            Scheme = Scheme(given, path, errors),
            Host = host,
            Port = port,
            Path = Path(given, path, errors),
            StripQuery = given.StripQuery,
        };
    }

    private static string? Scheme(Wire.RedirectAction given, string path, DecodeErrors errors)
    {
        var scheme = given.SchemeRewriteSpecifierCase switch
        {
            Wire.RedirectAction.SchemeRewriteSpecifierOneofCase.HttpsRedirect when given.HttpsRedirect => "https",
            Wire.RedirectAction.SchemeRewriteSpecifierOneofCase.SchemeRedirect => given.SchemeRedirect.ToLowerInvariant(),
            _ => null,
        };
        if (scheme is not (null or "http" or "https"))
        {
            errors.Add($"{path}.scheme_redirect", $"is '{given.SchemeRedirect}'", "Use http or https.");
        }

        return scheme;
    }

    private static (string? Host, int? Port) Host(Wire.RedirectAction given, string path, DecodeErrors errors)
    {
        int? port = given.PortRedirect == 0 ? null : (int)Math.Min(given.PortRedirect, int.MaxValue);
        if (port > 65535)
        {
            errors.Add($"{path}.port_redirect", $"is {given.PortRedirect}", "Use 1–65535.");
        }

        var host = given.HostRedirect;
        if (host.Length == 0)
        {
            return (null, port);
        }

        var colon = host.LastIndexOf(':');
        if (colon > 0 && !host.EndsWith(']') && int.TryParse(host.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out var own))
        {
            (host, port) = (host[..colon], port ?? own);
        }

        if (Uri.CheckHostName(host.Trim('[', ']')) == UriHostNameType.Unknown || port > 65535)
        {
            errors.Add($"{path}.host_redirect", $"is '{given.HostRedirect}'", "Use a host name or address, with or without a port.");
        }

        return (host, port);
    }

    private static PathRewrite? Path(Wire.RedirectAction given, string path, DecodeErrors errors)
    {
        switch (given.PathRewriteSpecifierCase)
        {
            case Wire.RedirectAction.PathRewriteSpecifierOneofCase.PathRedirect when given.PathRedirect.Length > 0:
                return new PathRewrite.Full(PathRewriteDecoder.Plain(given.PathRedirect, $"{path}.path_redirect", errors));
            case Wire.RedirectAction.PathRewriteSpecifierOneofCase.PrefixRewrite when given.PrefixRewrite.Length > 0:
                return new PathRewrite.Prefix(PathRewriteDecoder.Plain(given.PrefixRewrite, $"{path}.prefix_rewrite", errors));
            case Wire.RedirectAction.PathRewriteSpecifierOneofCase.RegexRewrite:
                return PathRewriteDecoder.Pattern(given.RegexRewrite, $"{path}.regex_rewrite", errors);
            default:
                return null;
        }
    }
}
