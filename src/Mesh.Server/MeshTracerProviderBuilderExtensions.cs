#pragma warning disable IDE0130 // Users find it where they already look: beside the other instrumentations.
namespace OpenTelemetry.Trace;
#pragma warning restore IDE0130

/// <summary>Shows the mesh to an app's OpenTelemetry.</summary>
public static class MeshTracerProviderBuilderExtensions
{
    /// <summary>Adds all spans that a service in the mesh has: its requests served, with who called and what policy decided; its calls; the attempts of these.</summary>
    /// <remarks>
    /// One server span per request: ASP.NET Core's instrumentation, which this adds, and <c>UseMesh()</c>, which writes on its span (<c>mesh.peer</c>, <c>mesh.tls</c>, <c>mesh.route</c>, <c>mesh.policy.decision</c>, <c>mesh.deadline_ms</c>).
    /// One client span per call, under .NET's own source: <c>AddHttpClientInstrumentation()</c> and <c>AddGrpcClientInstrumentation()</c> may be added too and double nothing.
    /// </remarks>
    /// <param name="builder">The app's own.</param>
    public static TracerProviderBuilder AddMeshInstrumentation(this TracerProviderBuilder builder)
    {
        ArgumentNullException.ThrowIfNull(builder);
        return builder.AddAspNetCoreInstrumentation().AddSource("System.Net.Http", Mesh.Telemetry.MeshTags.ActivitySource);
    }
}
