using System.Collections.Immutable;
using System.Net;

namespace Mesh.ControlPlane.Model.Policies;

/// <summary>Says whether one rule matches whatever another one matches. Sound and not complete: yes is certain, no is "not shown". Pure.</summary>
internal static class RuleCover
{
    public static bool Covers(AuthorizationRule wide, AuthorizationRule narrow) =>
        All(wide.From, narrow.From, Covers) && All(wide.To, narrow.To, Covers);

    /// <summary>Alternatives: each of the narrow ones is within one of the wide ones. None at all is everything.</summary>
    private static bool All<T>(ImmutableArray<T> wide, ImmutableArray<T> narrow, Func<T, T, bool> covers) =>
        wide.IsEmpty || (!narrow.IsEmpty && narrow.All(n => wide.Any(w => covers(w, n))));

    private static bool Covers(CallerMatch wide, CallerMatch narrow) =>
        All(wide.Identities, narrow.Identities, IdentityCovers)
        && (All(wide.ServiceAccounts, narrow.ServiceAccounts, (w, n) => w == n))
        && (All(wide.Namespaces, narrow.Namespaces, (w, n) => w == n) || (!narrow.ServiceAccounts.IsEmpty && narrow.ServiceAccounts.All(a => wide.Namespaces.Contains(a.Namespace))))
        && All(wide.TrustDomains, narrow.TrustDomains, (w, n) => w == n)
        && (wide.Authenticated is null || wide.Authenticated == narrow.Authenticated
            || (wide.Authenticated == true && (!narrow.ServiceAccounts.IsEmpty || !narrow.Namespaces.IsEmpty)))
        && All(wide.Networks, narrow.Networks, NetworkCovers)
        // All of them hold: each that the wide one asks for is asked by the narrow one too.
        && wide.Claims.All(w => narrow.Claims.Any(n => w.Path.SequenceEqual(n.Path) && (w.Values is ["*"] || n.Values.All(v => v != "*" && w.Values.Contains(v)))));

    private static bool Covers(RequestMatch wide, RequestMatch narrow) =>
        All(wide.Methods, narrow.Methods, (w, n) => w == n)
        && (All(wide.Paths, narrow.Paths, PathCovers))
        && All(wide.Hosts, narrow.Hosts, (w, n) => w == n)
        && All(wide.Ports, narrow.Ports, (w, n) => w == n)
        && All(wide.Grpc, narrow.Grpc, (w, n) => w.Service == n.Service && (w.Method is null || w.Method == n.Method))
        && wide.Headers.All(w => narrow.Headers.Any(n => n.Name == w.Name && (w == n || w.Type == HeaderConditionType.Present)));

    private static bool NetworkCovers(NetworkMatch wide, NetworkMatch narrow) =>
        Contains(wide.Cidr, narrow.Cidr) && wide.Except.All(out_ => narrow.Except.Any(e => Contains(e, out_)) || !Overlap(out_, narrow.Cidr));

    private static bool Contains(IPNetwork wide, IPNetwork narrow) => wide.PrefixLength <= narrow.PrefixLength && wide.Contains(narrow.BaseAddress);

    private static bool Overlap(IPNetwork a, IPNetwork b) => a.Contains(b.BaseAddress) || b.Contains(a.BaseAddress);

    /// <summary>Segments: <c>*</c> is any one, <c>**</c> at the end one or more.</summary>
    private static bool IdentityCovers(string wide, string narrow) => wide == narrow || SegmentsCover(wide.Split('/'), narrow.Split('/'), rest: "**");

    /// <summary>Segments: <c>*</c> in between is any one, at the end everything below, which <c>/a/</c> is not for an Allow.</summary>
    private static bool PathCovers(string wide, string narrow) => wide == narrow || ((wide == "/*" || !narrow.EndsWith('/')) && SegmentsCover(wide.Split('/'), narrow.Split('/'), rest: null));

    private static bool SegmentsCover(string[] wide, string[] narrow, string? rest)
    {
        for (var i = 0; i < wide.Length; i++)
        {
            var last = i == wide.Length - 1;
            if (last && (rest is null ? wide[i] == "*" : wide[i] == rest))
            {
                return narrow.Length > i;
            }

            if (i >= narrow.Length || (narrow[i] == "*" && i == narrow.Length - 1 && rest is null) || narrow[i] == "**")
            {
                return false;
            }

            if (wide[i] != "*" && wide[i] != narrow[i])
            {
                return false;
            }
        }

        return wide.Length == narrow.Length;
    }
}
