using System.Globalization;
using Mesh.Traffic;

namespace Mesh.Policy;

/// <summary>A condition on the path without query.</summary>
internal sealed class RbacPathNode(StringMatcher matcher) : RbacLeaf
{
    public override bool NeedsHead => true;

    public override string Subject => "path";

    public override string Wish => RbacWords.Wish(matcher);

    public override bool Matches(in RbacRequest request) => request.Head is { } head && matcher.Matches(head.Path);

    public override string Seen(in RbacRequest request) => request.Head is { } head ? $"path is {RbacWords.Quote(head.Path)}" : "path is unknown";
}

/// <summary>A condition on who calls: mesh TLS, and one of the caller's names.</summary>
/// <param name="name">Null is any caller over mesh TLS.</param>
internal sealed class RbacCallerNode(StringMatcher? name) : RbacLeaf
{
    public override bool NeedsHead => false;

    public override string Subject => "caller";

    public override string Wish => name is null ? "a caller over mesh TLS" : RbacWords.Wish(name);

    public override bool Matches(in RbacRequest request)
    {
        if (request.Connection.Caller is not { } caller)
        {
            return false;
        }

        if (name is null)
        {
            return true;
        }

        for (var i = 0; i < caller.Names.Count; i++)
        {
            if (name.Matches(caller.Names[i]))
            {
                return true;
            }
        }

        return false;
    }

    public override string Seen(in RbacRequest request) => request.Connection.Caller is { } caller ? $"caller is {RbacWords.Quote(caller.Names[0])}" : "caller is not authenticated";
}

/// <summary>A condition on an address of the connection.</summary>
/// <param name="isSource">Where it comes from; else where it goes to.</param>
internal sealed class RbacAddressNode(AddressRange range, bool isSource) : RbacLeaf
{
    public override bool NeedsHead => false;

    public override string Subject => isSource ? "source address" : "destination address";

    public override string Wish => range.ToString();

    public override bool Matches(in RbacRequest request) => range.Contains(Address(request));

    public override string Seen(in RbacRequest request) => $"{Subject} is {Address(request)}";

    private AddressBits Address(in RbacRequest request) => isSource ? request.Connection.Source : request.Connection.Destination;
}

/// <summary>A condition on the port that was called.</summary>
internal sealed class RbacPortNode(int first, int last) : RbacLeaf
{
    public override bool NeedsHead => false;

    public override string Subject => "port";

    public override string Wish => first == last ? first.ToString(CultureInfo.InvariantCulture) : string.Create(CultureInfo.InvariantCulture, $"{first}-{last}");

    public override bool Matches(in RbacRequest request) => request.Connection.DestinationPort >= first && request.Connection.DestinationPort <= last;

    public override string Seen(in RbacRequest request) => string.Create(CultureInfo.InvariantCulture, $"port is {request.Connection.DestinationPort}");
}
