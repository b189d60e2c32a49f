using Mesh.Protos.Envoy.Core;
using Mesh.Protos.Envoy.Type;

namespace Mesh.Xds.Decoding;

/// <summary>Shares of calls, as parts of a million.</summary>
internal static class FractionDecoder
{
    /// <summary>Parts of a million that 1 of the numerator stands for; 0 for an unknown denominator.</summary>
    public static int Unit(FractionalPercent? share) => share?.Denominator switch
    {
        null or FractionalPercent.Types.DenominatorType.Hundred => 10_000,
        FractionalPercent.Types.DenominatorType.TenThousand => 100,
        FractionalPercent.Types.DenominatorType.Million => 1,
        _ => 0,
    };

    /// <summary>0 when absent; more than all is all.</summary>
    public static int PerMillion(FractionalPercent? share, string path, DecodeErrors errors)
    {
        if (share is null)
        {
            return 0;
        }

        long unit = Unit(share);
        if (unit == 0)
        {
            errors.Add($"{path}.denominator", $"is {(int)share.Denominator}", "Use HUNDRED, TEN_THOUSAND or MILLION.");
        }

        return (int)Math.Min(share.Numerator * unit, 1_000_000);
    }

    /// <summary>Null when absent; runtime keys are not read here.</summary>
    public static int? PerMillion(RuntimeFractionalPercent? fraction, string path, DecodeErrors errors)
    {
        if (fraction is null)
        {
            return null;
        }

        if (fraction.DefaultValue is null)
        {
            errors.Add($"{path}.default_value", "is not set", "Give the share; runtime keys are not read here.");
            return null;
        }

        return PerMillion(fraction.DefaultValue, $"{path}.default_value", errors);
    }
}
