namespace Mesh.ControlPlane.Telemetry;

/// <summary>Registers what takes and keeps traces, and what gives telemetry on.</summary>
internal static class TraceServiceCollectionExtensions
{
    /// <param name="options">Valid.</param>
    public static IServiceCollection AddTraces(this IServiceCollection services, MeshControlPlaneOptions options)
    {
        services.AddSingleton(new TraceStore());
        services.AddSingleton<TraceAnswers>();
        services.AddSingleton<TraceIntake>();
        if (options.Otlp is { } otlp)
        {
            var address = OtlpSettings.Address(otlp)!;
            services.AddSingleton(provider => new OtlpForwarder(
                OtlpTarget.Create(address, options.OtlpProtocol, options.ParsedOtlpHeaders!, provider.GetRequiredService<TimeProvider>()), address.ToString(), provider.GetRequiredService<TimeProvider>(), new Random(), provider.GetRequiredService<ILogger<OtlpForwarder>>()));
        }

        return services;
    }
}
