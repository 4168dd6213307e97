"""Elementary functions from IEEE operations alone, so that their bits are the same on every machine.

The C library's exp, log and tanh differ in the last bit between versions and processors.
"""

import math


def exp(x: float) -> float:
    """Return e**x for |x| <= 700, relative error below 4e-16 (Cephes rational form)."""
    n = math.floor(1.4426950408889634 * x + 0.5)
    r = x - n * 6.93145751953125e-1
    r = r - n * 1.42860682030941723212e-6
    z = r * r
    p = r * ((1.26177193074810590878e-4 * z + 3.02994407707441961300e-2) * z + 9.99999999999999999910e-1)
    q = (3.00198505138664455042e-6 * z + 2.52448340349684104192e-3) * z + 2.27265548208155028766e-1
    q = q * z + 2.0
    return math.ldexp(1.0 + 2.0 * (p / (q - p)), int(n))


def tanh(x: float) -> float:
    """Return tanh(x), relative error below 4e-16 (Cephes rational form near 0)."""
    a = math.fabs(x)
    if a < 0.625:
        z = x * x
        p = (-9.64399179425052238628e-1 * z + -9.92877231001918586564e1) * z + -1.61468768441708447952e3
        q = ((z + 1.12811678491632931402e2) * z + 2.23548839060100448583e3) * z + 4.84406305325125486048e3
        return x + x * z * (p / q)
    if a > 22.0:
        return math.copysign(1.0, x)
    return math.copysign(1.0 - 2.0 / (exp(2.0 * a) + 1.0), x)


def log(x: float) -> float:
    """Return the natural logarithm of 0 < x < inf, error below 2e-16 relative (atanh series)."""
    m, e = math.frexp(x)
    if m < 0.7071067811865476:
        m = 2.0 * m
        e = e - 1
    s = (m - 1.0) / (m + 1.0)
    z = s * s
    p = 1.0 / 23.0
    p = p * z + 1.0 / 21.0
    p = p * z + 1.0 / 19.0
    p = p * z + 1.0 / 17.0
    p = p * z + 1.0 / 15.0
    p = p * z + 1.0 / 13.0
    p = p * z + 1.0 / 11.0
    p = p * z + 1.0 / 9.0
    p = p * z + 1.0 / 7.0
    p = p * z + 1.0 / 5.0
    p = p * z + 1.0 / 3.0
    return e * 6.93147180369123816490e-1 + (2.0 * s + (2.0 * s * z * p + e * 1.90821492927058770002e-10))


def half_normal_quantile(u: float, complement: float) -> float:
    """Return the magnitude t with P(|g| < t) = u for a standard normal g.

    ``complement`` is 1 - u, given apart so that large magnitudes lose no digits.
    Rational approximations of Wichura (1988), algorithm AS 241, relative error about 1e-16.
    """
    q = 0.5 * u
    if q <= 0.425:
        r = 0.180625 - q * q
        a = 2.5090809287301226727e3 * r + 3.3430575583588128105e4
        a = (a * r + 6.7265770927008700853e4) * r + 4.5921953931549871457e4
        a = (a * r + 1.3731693765509461125e4) * r + 1.9715909503065514427e3
        a = (a * r + 1.3314166789178437745e2) * r + 3.3871328727963666080e0
        b = 5.2264952788528545610e3 * r + 2.8729085735721942674e4
        b = (b * r + 3.9307895800092710610e4) * r + 2.1213794301586595867e4
        b = (b * r + 5.3941960214247511077e3) * r + 6.8718700749205790830e2
        b = (b * r + 4.2313330701600911252e1) * r + 1.0
        return q * a / b
    r = math.sqrt(-log(0.5 * complement))
    if r <= 5.0:
        r = r - 1.6
        a = 7.74545014278341407640e-4 * r + 2.27238449892691845833e-2
        a = (a * r + 2.41780725177450611770e-1) * r + 1.27045825245236838258e0
        a = (a * r + 3.64784832476320460504e0) * r + 5.76949722146069140550e0
        a = (a * r + 4.63033784615654529590e0) * r + 1.42343711074968357734e0
        b = 1.05075007164441684324e-9 * r + 5.47593808499534494600e-4
        b = (b * r + 1.51986665636164571966e-2) * r + 1.48103976427480074590e-1
        b = (b * r + 6.89767334985100004550e-1) * r + 1.67638483018380384940e0
        b = (b * r + 2.05319162663775882187e0) * r + 1.0
        return a / b
    r = r - 5.0
    a = 2.01033439929228813265e-7 * r + 2.71155556874348757815e-5
    a = (a * r + 1.24266094738807843860e-3) * r + 2.65321895265761230930e-2
    a = (a * r + 2.96560571828504891230e-1) * r + 1.78482653991729133580e0
    a = (a * r + 5.46378491116411436990e0) * r + 6.65790464350110377720e0
    b = 2.04426310338993978564e-15 * r + 1.42151175831644588870e-7
    b = (b * r + 1.84631831751005468180e-5) * r + 7.86869131145613259100e-4
    b = (b * r + 1.48753612908506148525e-2) * r + 1.36929880922735805310e-1
    b = (b * r + 5.99832206555887937690e-1) * r + 1.0
    return a / b
