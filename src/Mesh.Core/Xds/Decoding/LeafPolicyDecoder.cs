using Mesh.Config;

namespace Mesh.Xds.Decoding;

/// <summary>Our own resource: what the control plane asks of leaf certificates.</summary>
internal static class LeafPolicyDecoder
{
    public static DecodeResult Decode(Protos.Identity.LeafPolicy policy)
    {
        var errors = new DecodeErrors();
        if (policy.Name.Length == 0)
        {
            errors.Add("name", "is empty", "Name the resource 'default'.");
        }

        var issuedAfter = DateTimeOffset.MinValue; // absent: every leaf will do
        if (policy.IssuedAfter is { } at)
        {
            // 0001-01-01 to 9999-12-31, as google.protobuf.Timestamp promises; ToDateTimeOffset would throw.
            if (at.Seconds is < -62_135_596_800 or > 253_402_300_799 || at.Nanos is < 0 or > 999_999_999)
            {
                errors.Add("issued_after", $"is {at.Seconds} s and {at.Nanos} ns since 1970", "Use a time from year 1 to 9999, nanos 0–999,999,999.");
            }
            else
            {
                issuedAfter = DateTimeOffset.FromUnixTimeSeconds(at.Seconds).AddTicks(at.Nanos / 100);
            }
        }

        return errors.Result(policy.Name, new LeafPolicy(issuedAfter));
    }
}
