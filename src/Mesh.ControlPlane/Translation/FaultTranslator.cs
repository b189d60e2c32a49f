using Google.Protobuf.WellKnownTypes;
using Mesh.ControlPlane.Model.Policies;
using Mesh.Protos.Envoy.CommonFault;
using Mesh.Protos.Envoy.Filters;
using Mesh.Protos.Envoy.Hcm;
using Mesh.Protos.Envoy.Type;

namespace Mesh.ControlPlane.Translation;

/// <summary>Writes fault injection (gRFC A33): an idle filter in the listener, its settings in the routes.</summary>
internal static class FaultTranslator
{
    public const string FilterName = "envoy.filters.http.fault";

    /// <summary>What must stand in the listener for routes to have a fault; idle where a route says nothing.</summary>
    public static HttpFilter Filter() => new() { Name = FilterName, IsOptional = true, TypedConfig = Any.Pack(new HTTPFault()) };

    public static HTTPFault Translate(Fault fault)
    {
        var result = new HTTPFault();
        if (fault.HeaderDriven)
        {
            result.Delay = new FaultDelay { HeaderDelay = new FaultDelay.Types.HeaderDelay(), Percentage = Share(fault.DelayPercent) };
            result.Abort = new FaultAbort { HeaderAbort = new FaultAbort.Types.HeaderAbort(), Percentage = Share(fault.AbortPercent) };
        }

        if (fault.Delay > TimeSpan.Zero)
        {
            result.Delay = new FaultDelay { FixedDelay = Duration.FromTimeSpan(fault.Delay), Percentage = Share(fault.DelayPercent) };
        }

        if (fault.AbortHttpStatus > 0)
        {
            result.Abort = new FaultAbort { HttpStatus = (uint)fault.AbortHttpStatus, Percentage = Share(fault.AbortPercent) };
        }
        else if (fault.AbortGrpcStatus > 0)
        {
            result.Abort = new FaultAbort { GrpcStatus = (uint)fault.AbortGrpcStatus, Percentage = Share(fault.AbortPercent) };
        }

        result.Headers.AddRange(fault.Headers.Select(MatchTranslator.Header));
        return result;
    }

    private static FractionalPercent Share(int percent) => new() { Numerator = (uint)percent, Denominator = FractionalPercent.Types.DenominatorType.Hundred };
}
