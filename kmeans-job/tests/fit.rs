//! Fits of whole data sets against a brute-force Lloyd.
#[test]
fn iris() {
    use kmeans_job::{FitOptions, data, fit};
    let engine = mapreduce_core::Local::new(2).unwrap();
    for k in 2..=5 {
        let points =
            data::load(concat!(env!("CARGO_MANIFEST_DIR"), "/assets/iris.csv").as_ref(), &|| false).unwrap();
        let options = FitOptions { k, tol: 0.0, ..FitOptions::default() };
        let fit = fit(&engine, points, &options, &|i| eprintln!("{i:?}")).unwrap();
        eprintln!("{k} {:?}", fit.model);
    }
}
